"""Inputs that a server kept of its audits, as a source."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from offramp.arrays import Int
from offramp.audit_files import files_in, read
from offramp.errors import DataError
from offramp.inputs import Inputs, check_finite, select
from offramp.load import fingerprint
from offramp.sources import Labels


@dataclass(frozen=True, eq=False)
class AuditedSource:
    """The newest samples of a folder, as the network takes them; shorter ones are filled up with zeros.

    Attributes:
        name: how the source is called.
        arrays: all samples by input.
        named: whether the network takes a dict.
    """

    name: str
    arrays: dict[str, np.ndarray]
    named: bool

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    @cached_property
    def _digest(self) -> str:
        return fingerprint.of_inputs({name: torch.from_numpy(array) for name, array in self.arrays.items()})

    def fingerprint(self) -> str:
        """sha256 of all samples."""
        return self._digest

    def inputs(self, indices: Int[np.ndarray, " batch"]) -> Inputs:
        """The samples, stacked."""
        tensors = {name: torch.from_numpy(array[indices]) for name, array in self.arrays.items()}
        if self.named:
            return tensors
        return next(iter(tensors.values())) if len(tensors) == 1 else tuple(tensors.values())

    def labels(self) -> Labels:
        """There are none.

        Raises:
            DataError: always.
        """
        raise DataError(f"expected labels, but {self.name} holds what a server was asked, which has none")


def open_audited(folder: Path, last: int | None = None, *, named: bool = False) -> AuditedSource:
    """What a server kept in a folder (`offramp serve --keep`).

    Args:
        folder: of the server's option.
        last: so many of the newest samples; None: all.
        named: whether the network takes a dict.

    Raises:
        DataError: if there are no samples, or a file is not one that a server wrote.
    """
    files = files_in(folder)
    if not files:
        raise DataError(f"expected inputs that a server kept in {folder}, got none; serve with --keep {folder}")
    if last is not None and last < 1:
        raise DataError(f"expected at least 1 sample, got {last}")
    parts: list[dict[str, np.ndarray]] = []
    missing = last
    for path in reversed(files):
        part = read(path)
        if parts and set(part) != set(parts[0]):
            raise DataError(
                f"expected the inputs {', '.join(parts[0])} in {path.name}, got {', '.join(part)}; keep those of "
                "another model in another folder"
            )
        samples = len(next(iter(part.values())))
        parts.insert(0, part if missing is None else {name: array[-missing:] for name, array in part.items()})
        missing = None if missing is None else missing - samples
        if missing is not None and missing <= 0:
            break
    arrays = {name: _joined([part[name] for part in parts], name) for name in parts[0]}
    found = AuditedSource(str(folder), arrays, named)
    for at in range(0, len(found), 1024):
        rows = np.arange(at, min(at + 1024, len(found)))
        batch = found.inputs(rows)
        for row in rows:
            check_finite(select(batch, torch.tensor([row - at])), found.name, int(row))
    return found


def _joined(arrays: list[np.ndarray], name: str) -> np.ndarray:
    """One array; where sizes differ, zeros fill up."""
    dims = {array.ndim for array in arrays}
    if len(dims) != 1:
        raise DataError(f"expected samples of one number of axes in input {name!r}, got {sorted(dims)}")
    if len({array.shape[1:] for array in arrays}) == 1:
        return np.concatenate(arrays)
    widest = np.max([array.shape[1:] for array in arrays], axis=0)

    def filled(array: np.ndarray) -> Any:
        room = [(0, 0), *((0, int(most - size)) for most, size in zip(widest, array.shape[1:], strict=True))]
        return np.pad(array, room)

    return np.concatenate([filled(array) for array in arrays])
