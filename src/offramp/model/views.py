"""The rows of a pass: samples and their augmented copies, which can be made again at any time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool

from offramp.inputs import Inputs, batch_size, check_finite
from offramp.model.augment import Augment
from offramp.sources import Source


@dataclass(frozen=True, eq=False)
class Views:
    """The samples of a source, then as many augmented copies of all of them as asked for, or the later of these.

    Attributes:
        source: the samples.
        augment: makes the copies.
        lend: which samples may be blended into others.
        seed: of the augmentation; same seed and batch size, same views.
        batch: rows made at a time.
        skip: copies left out at the front, of which the samples themselves are the first.
    """

    source: Source
    augment: Augment
    lend: Bool[np.ndarray, " samples"]
    seed: int
    batch: int
    skip: int = 0

    def __len__(self) -> int:
        return len(self.source) * self._copies

    @property
    def _copies(self) -> int:
        return self.augment.copies + 1 - self.skip

    @property
    def starts(self) -> Iterator[int]:
        """The first row of every batch; a batch never spans two copies."""
        for copy in range(self._copies):
            for start in range(0, len(self.source), self.batch):
                yield copy * len(self.source) + start

    def at(self, row: int) -> Inputs:
        """The rows from `row`, at which a batch starts, to the end of that batch.

        Raises:
            DataError: if an input is not finite.
        """
        passed, start = divmod(row, len(self.source))
        copy = passed + self.skip
        indices = np.arange(start, min(start + self.batch, len(self.source)))
        inputs = self.source.inputs(indices)
        check_finite(inputs, self.source.name, start)
        batch_size(inputs)
        if copy == 0:
            return inputs
        entropy = np.random.SeedSequence([self.seed, copy, start]).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(entropy >> 1))
        return self.augment(inputs, generator, torch.from_numpy(self.lend[indices]))
