"""Processor time of other processes."""

import os
from pathlib import Path


def processor_seconds(process: int) -> float:
    """That a process has used so far, its children not counted.

    Raises:
        OSError: if there is no such process any more.
    """
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
