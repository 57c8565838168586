"""The machine: what a result was measured on, and how many threads PyTorch may use."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch


def machine(*packages: str) -> dict[str, str | int | None]:
    """Processor, device, threads and versions, also of these packages where they are installed."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": len(names) or None,
        **({"accelerator": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **{package: _version(package) for package in ("offramp", "torch", "numpy", *packages)},
    }


@contextmanager
def threads_set(threads: int) -> Iterator[None]:
    """PyTorch uses so many threads within it."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
