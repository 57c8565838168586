"""Wall-clock comparison: ratios of medians, interleaved in one process, after a warm-up."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from offramp.inputs import Inputs, batch_size

WARM_UP = 2
"""Rounds that are run and not counted."""


@dataclass(frozen=True)
class Timing:
    """Seconds per round of each contestant; all of them ran each round on the same inputs, one after the other.

    Attributes:
        seconds: per contestant, one number per round.
        samples: samples per round.
    """

    seconds: Mapping[str, tuple[float, ...]]
    samples: int

    def ratio(self, name: str, to: str) -> float:
        """Median time of `name` as a share of the median time of `to`."""
        return float(np.median(self.seconds[name]) / np.median(self.seconds[to]))


def interleaved(contestants: Mapping[str, Callable[[Inputs], Any]], rounds: Sequence[Sequence[Inputs]]) -> Timing:
    """How long each contestant takes for the batches of each round.

    Args:
        contestants: what to time, each called with one batch at a time.
        rounds: the batches of each round; rounds may differ, so that the median is over inputs too.
    """
    for round_ in rounds[:WARM_UP]:
        for run in contestants.values():
            run(round_[0])
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for round_ in rounds:
        for name, run in contestants.items():
            start = time.perf_counter()
            for batch in round_:
                run(batch)
            seconds[name].append(time.perf_counter() - start)
    return Timing({name: tuple(values) for name, values in seconds.items()}, sum(map(batch_size, rounds[0])))
