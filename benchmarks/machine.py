"""What a result was measured on."""

import platform
from importlib.metadata import version
from pathlib import Path

import torch


def machine(*packages: str) -> dict[str, object]:
    """Processor, threads and versions, also of these packages."""
    info = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": len(names) or None,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **{package: version(package) for package in ("offramp", "torch", "numpy", *packages)},
    }
