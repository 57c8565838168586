"""Wall-clock comparison: ratios of medians, interleaved in one process, after a warm-up."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

WARM_UP = 2
"""Rounds that are run and not counted."""


def settled() -> float:
    """The time in seconds, once an accelerator that is in use has done what it was asked."""
    torch = sys.modules.get("torch")  # not imported here: exported models run without it
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()


@dataclass(frozen=True)
class Timing:
    """Seconds per round of each contestant; all of them ran each round on the same inputs, one after the other.

    Attributes:
        seconds: per contestant, one number per round.
    """

    seconds: Mapping[str, tuple[float, ...]]

    def ratio(self, name: str, to: str) -> float:
        """Median time of `name` as a share of the median time of `to`."""
        return float(np.median(self.seconds[name]) / np.median(self.seconds[to]))

    def noise(self, name: str, to: str) -> float:
        """Standard error of that ratio, from how it varies over the rounds (by its median absolute deviation)."""
        each = np.array(self.seconds[name]) / np.array(self.seconds[to])
        return float(1.2533 * 1.4826 * np.median(np.abs(each - np.median(each))) / len(each) ** 0.5)


def interleaved(contestants: Mapping[str, Callable[[Any], Any]], rounds: Sequence[Sequence[Any]]) -> Timing:
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
            start = settled()
            for batch in round_:
                run(batch)
            seconds[name].append(settled() - start)
    return Timing({name: tuple(values) for name, values in seconds.items()})
