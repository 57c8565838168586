"""Wall-clock comparison: ratios of medians, interleaved in one process, after a warm-up."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from offramp.arrays import Float

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
    """What each contestant took; all of them ran each round on the same inputs, one after the other.

    Attributes:
        batches: per contestant, for each round the seconds of each of its batches.
    """

    batches: Mapping[str, tuple[tuple[float, ...], ...]]

    def seconds(self, name: str) -> Float[np.ndarray, " rounds"]:
        """Seconds of each round."""
        return np.array([sum(round_) for round_ in self.batches[name]])

    def quantile(self, name: str, share: float) -> float:
        """Seconds within which that share of the batches was done."""
        return float(np.quantile([one for round_ in self.batches[name] for one in round_], share))

    def ratio(self, name: str, to: str) -> float:
        """Median time of `name` as a share of the median time of `to`."""
        return float(np.median(self.seconds(name)) / np.median(self.seconds(to)))

    def noise(self, name: str, to: str) -> float:
        """Standard error of that ratio, from how it varies over the rounds (by its median absolute deviation).

        Of one round nothing can be said, so that it is infinite.
        """
        if len(self.batches[name]) < 2:
            return float("inf")
        each = self.seconds(name) / self.seconds(to)
        return float(1.2533 * 1.4826 * np.median(np.abs(each - np.median(each))) / len(each) ** 0.5)


def interleaved(contestants: Mapping[str, Callable[[Any], Any]], rounds: Sequence[Sequence[Any]]) -> Timing:
    """How long each contestant takes for the batches of each round; each round begins with another contestant.

    Args:
        contestants: what to time, each called with one batch at a time.
        rounds: the batches of each round; rounds may differ, so that the median is over inputs too.
    """
    names = list(contestants)
    for round_ in rounds[:WARM_UP]:
        for run in contestants.values():
            run(round_[0])
    taken: dict[str, list[tuple[float, ...]]] = {name: [] for name in names}
    for index, round_ in enumerate(rounds):
        first = index % len(names)
        for name in (*names[first:], *names[:first]):
            run, times = contestants[name], [settled()]
            for batch in round_:
                run(batch)
                times.append(settled())
            taken[name].append(tuple(np.diff(times).tolist()))
    return Timing({name: tuple(rounds_) for name, rounds_ in taken.items()})
