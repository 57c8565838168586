"""The most memory that this process has had resident. Free of torch."""

import sys
from pathlib import Path

from offramp.errors import InputError

STATUS = Path("/proc/self/status")
"""What Linux says about the process."""


def peak() -> int:
    """Peak resident set size of this process since it began, in bytes.

    On Linux it is `VmHWM` of `/proc/self/status`. `ru_maxrss` of `getrusage` is not used there: it outlives `exec`, so
    that a process begins with the peak of the one that started it. Elsewhere it is `ru_maxrss`, which counts bytes on
    macOS and KiB on other systems.

    Raises:
        InputError: if the system does not say.
    """
    found = _of_status(STATUS.read_text()) if STATUS.exists() else None
    return _of_usage() if found is None else found


def _of_status(text: str) -> int | None:
    """The peak in bytes that a status file states.

    >>> _of_status("VmHWM: 1234 kB")
    1263616
    """
    line = next((line for line in text.splitlines() if line.startswith("VmHWM:")), None)
    return None if line is None else 1024 * int(line.split()[1])  # its kB are KiB


def _of_usage() -> int:
    try:
        import resource
    except ModuleNotFoundError as error:
        raise InputError("expected Linux or macOS, where a process can read its peak memory; measure there") from error
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
