"""`offramp serve` in a process of its own, as anybody would start it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def served(*arguments: str, admin_token: str) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """The process and its port, once it listens; it is told to end behind the block."""
    command = [sys.executable, "-m", "offramp", "serve", *arguments, "--port", "0", "--threads", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OFFRAMP_ADMIN_TOKEN": admin_token}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    try:
        yield process, int(process.stdout.readline().rsplit(":", 1)[1])
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
