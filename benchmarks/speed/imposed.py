"""Exit decisions that are imposed, for models with random weights: exits, gates and compaction really run."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from offramp.run.executor import Executor, Said, Say, Stop

PERIOD = 40
"""Every so many samples in a row leave in exactly the given shares."""


class Imposed:
    """An executor whose exits say 1 of the samples that are to leave there, and 0 of the others."""

    def __init__(self, executor: Executor, shares: Sequence[float], seed: int = 0) -> None:
        counts = np.round(np.array(shares) * PERIOD).astype(int)
        self.executor, self.position = executor, 0
        self.place = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(shares)), counts))

    def samples(self, inputs: Any) -> int:
        """The size of a batch."""
        return self.executor.samples(inputs)

    def drive(self, inputs: Any, stop: Stop) -> Said | None:
        """As the executor does, with scores of our own."""
        count = self.samples(inputs)
        alive = self.place[(self.position + np.arange(count)) % len(self.place)]
        self.position += count

        def at(place: int, say: Say) -> np.ndarray | None:
            nonlocal alive

            def imposed(exit_: int) -> Said:
                return Said(say(exit_).logits, (alive == place).astype(np.float32))

            rows = stop(place, imposed)
            alive = alive if rows is None else alive[rows]
            return rows

        return self.executor.drive(inputs, at)

    def whole(self, inputs: Any) -> Said:
        """The uncut model."""
        return self.executor.whole(inputs)
