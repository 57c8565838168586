"""Sources made of other sources."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from offramp.errors import DataError, InputError
from offramp.inputs import Inputs, concat, select
from offramp.load import fingerprint
from offramp.load.labels import none_in
from offramp.load.raw import raw
from offramp.sources import Labels, Source


@dataclass(frozen=True, eq=False)
class Concatenated:
    """Sources one after the other, without labels."""

    sources: tuple[Source, ...]

    @property
    def name(self) -> str:
        """The names, joined."""
        return " + ".join(source.name for source in self.sources)

    def fingerprint(self) -> str:
        """sha256 of the fingerprints."""
        return fingerprint.of_parts(source.fingerprint() for source in self.sources)

    def __len__(self) -> int:
        return sum(map(len, self.sources))

    def inputs(self, indices: Int[np.ndarray, " batch"]) -> Inputs:
        """The samples, each read from its own source."""
        ends = np.cumsum([len(source) for source in self.sources])
        owner = np.searchsorted(ends, indices, side="right")
        starts = np.concatenate([[0], ends[:-1]])
        used = np.unique(owner).tolist()
        parts = [self.sources[which].inputs(indices[owner == which] - starts[which]) for which in used]
        order = np.argsort(np.argsort(owner, kind="stable"), kind="stable")
        return select(concat(parts), torch.from_numpy(order))

    def raw(self, index: int) -> Any:
        """A sample of whichever source it is from."""
        ends = np.cumsum([len(source) for source in self.sources])
        owner = int(np.searchsorted(ends, index, side="right"))
        return raw(self.sources[owner], index - int(ends[owner]) + len(self.sources[owner]))

    def labels(self) -> Labels:
        """Refused: extra data may have no labels, or other classes."""
        raise none_in(self.name, "joined data is used without labels; ask one of its sources")


@dataclass(frozen=True, eq=False)
class Subset:
    """Some samples of a source."""

    source: Source
    indices: Int[np.ndarray, " chosen"]

    @property
    def name(self) -> str:
        """The whole source's name and the share."""
        return f"{self.source.name} ({len(self)} of {len(self.source)})"

    def fingerprint(self) -> str:
        """sha256 of the source's fingerprint and the positions."""
        return fingerprint.of_parts([self.source.fingerprint(), self.indices.astype("<i8").tobytes()])

    def __len__(self) -> int:
        return len(self.indices)

    def inputs(self, indices: Int[np.ndarray, " batch"]) -> Inputs:
        """The samples at `indices` of the subset."""
        return self.source.inputs(self.indices[indices])

    def raw(self, index: int) -> Any:
        """The sample at a position of the subset."""
        return raw(self.source, int(self.indices[index]))

    def labels(self) -> Labels:
        """Their class indices."""
        labels: np.ndarray = self.source.labels()[self.indices]
        return labels


def concatenated(sources: Sequence[Source]) -> Source:
    """The samples of all `sources`, in order; it has no labels.

    Raises:
        DataError: if there is no source.
    """
    if not sources:
        raise DataError("expected at least one source, got none")
    return Concatenated(tuple(sources))


def subset(source: Source, indices: Int[np.ndarray, " chosen"]) -> Source:
    """The samples of `source` at `indices`, in that order.

    Raises:
        DataError: if there are none.
        InputError: if one lies outside the source.
    """
    if len(indices) == 0:
        raise DataError(f"expected at least one index into {source.name}, got none")
    if indices.min() < 0 or indices.max() >= len(source):
        outside = int(indices.min() if indices.min() < 0 else indices.max())
        raise InputError(f"expected indices in [0, {len(source)}) of {source.name}, got {outside}")
    return Subset(source, np.asarray(indices, np.int64))
