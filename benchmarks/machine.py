"""What a result was measured on."""

import torch

from offramp.report.machine import machine as facts


def machine(*packages: str) -> dict[str, object]:
    """Processor, threads and versions, also of these packages."""
    return {**facts(*packages), "threads": torch.get_num_threads()}
