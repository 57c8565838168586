"""What a result was measured on."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

INFO = Path("/proc/cpuinfo")


def machine(*packages: str) -> dict[str, str | int | None]:
    """Processor, cores, system and versions, also of these packages, where they are installed."""
    lines = INFO.read_text().splitlines() if INFO.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": len(names) or None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: _version(name) for name in ("offramp", "torch", "numpy", *packages)},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
