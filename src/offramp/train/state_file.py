"""The state of a training in a file: whole or not at all, and read without executing code."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from offramp.errors import InputError


def write(state: dict[str, Any], path: Path) -> None:
    """Replaces the file by one that holds `state`; a killed process leaves the earlier one."""
    draft, buffer = path.with_suffix(".part"), io.BytesIO()
    torch.save(state, buffer)  # not straight to the file: there torch hides a full disk behind a RuntimeError
    draft.write_bytes(buffer.getvalue())
    draft.replace(path)


def read(path: Path, take: Callable[[dict[str, Any]], None]) -> None:
    """Hands what the file holds to `take`.

    Raises:
        InputError: if the file is damaged or holds something else.
    """
    try:
        take(torch.load(path, weights_only=True, map_location="cpu"))  # it goes on wherever the network is now
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"cannot go on from the checkpoint {path}: {reason}; delete it to train anew") from error
