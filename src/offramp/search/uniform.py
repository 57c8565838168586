"""One threshold for all exits with all of them on: how papers with a fixed set of exits draw their curves."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from offramp.decide.replay import above_backbone
from offramp.search.path import falling
from offramp.search.shared import curve
from offramp.types import Configuration, ExitTable, Goal


@dataclass(frozen=True, slots=True)
class Uniform:
    """All exits on, at one threshold; nothing is left out, also where a head costs more than it saves.

    SelfXit's tables are at 0.9, SDN, BranchyNet and Kubaty et al. sweep it, and JEI-DNN's rule is its threshold of 1.

    Attributes:
        thresholds: those tried; none: `points` of those at which anything changes on the samples searched.
        points: so many thresholds at most, evenly over the cost.

    Example:
        >>> from offramp.testing.searchers import random_table
        >>> Uniform((0.9,)).search(random_table(seed=0), Goal(0.02))[-1]
        Configuration(enabled=(True, True, True), threshold=(0.9, 0.9, 0.9))
    """

    thresholds: tuple[float, ...] = ()
    points: int = 200

    def search(self, table: ExitTable, goal: Goal) -> list[Configuration]:
        """The plain backbone, then what is not dominated, from dear to cheap; `goal` plays no part."""
        inner = table.exits - 1
        found = (Configuration((True,) * inner, (float(threshold),) * inner) for threshold in self._tried(table))
        return falling(table, found if inner else ())

    def _tried(self, table: ExitTable) -> Iterator[float]:
        if self.thresholds:
            yield from self.thresholds
            return
        whole = curve(above_backbone(table), np.ones(table.exits - 1, bool))
        wanted = np.linspace(whole.cost.max(initial=0.0), whole.cost.min(initial=0.0), self.points)
        at = np.searchsorted(-whole.cost, -wanted, side="right") - 1
        yield from whole.threshold[np.unique(at[at >= 0])]
