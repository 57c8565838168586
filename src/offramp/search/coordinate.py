"""One threshold per exit, by exact line searches: every point of every line is kept."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from offramp.decide.pareto import nondominated
from offramp.decide.replay import above_backbone
from offramp.decide.rule import alone
from offramp.search.line import Arrivals, Line, line
from offramp.types import Configuration, ExitTable, Goal


@dataclass(frozen=True, slots=True)
class Coordinate:
    """Coordinate descent on cost + weight x loss for many weights; returns the whole front met on the way.

    This is DyCE's iterative search (Wang et al. 2024) with its one-dimensional problem solved exactly: with
    the other exits fixed, the samples that arrive at one exit are sorted by score, and running sums give loss
    and cost at every threshold and with the exit off, O(N log N). Keeping all of each line, not its optimum
    alone, finds the points of the front that no weight would choose.

    Thresholds fitted per exit overfit: on a few thousand samples the loss promised was missed by 50 to 100 %
    on others. Certify on another split, or prefer one shared threshold.

    Attributes:
        lambdas: number of weights, from one that hardly minds a loss to one where a single sample outweighs
            any saving.
        rounds: passes over the exits per weight, in an order drawn from `seed`.
        seed: same seed, same result.
        points: the longest path returned, evenly along the front; None for the whole front.

    Example:
        >>> from offramp.testing.searchers import random_table
        >>> path = Coordinate(points=5).search(random_table(seed=0), Goal(0.02))
        >>> len(path), path[0].enabled
        (5, (False, False, False))
    """

    lambdas: int = 40
    rounds: int = 2
    seed: int = 0
    points: int | None = None

    def search(self, table: ExitTable, goal: Goal) -> list[Configuration]:
        """The plain backbone, then the front from safest to cheapest; it does not depend on `goal`."""
        alone(table)
        above = above_backbone(table)
        front = _Front(above)
        for found in self._lines(above):
            front.add(found.pruned())
        full = Configuration.full(table.exits - 1)
        path = [full, *(configuration for configuration in front.path() if configuration != full)]
        if self.points is None or len(path) <= self.points:
            return path
        return [path[i] for i in np.unique(np.linspace(0, len(path) - 1, self.points).astype(int))]

    def _lines(self, table: ExitTable) -> Iterator[Line]:
        """Every line searched; each weight, from the strictest on, starts at the result of the one before."""
        generator = np.random.default_rng(self.seed)
        order = np.argsort(-table.score[:-1], axis=1, kind="stable")
        inner = table.exits - 1
        here = Configuration.full(inner)
        for weight in np.geomspace(table.samples, 0.1, self.lambdas):
            for _ in range(self.rounds):
                for exit_index in generator.permutation(inner):
                    found = line(table, Arrivals.of(table, order[exit_index], here, int(exit_index)))
                    yield found
                    here = found.at(int(np.argmin(found.cost + weight * found.loss)))


class _Front:
    """The nondominated points of the lines added so far."""

    def __init__(self, table: ExitTable) -> None:
        full = Configuration.full(table.exits - 1)
        self._cost, self._loss = np.array([1.0]), np.array([table.loss[-1].mean()])
        self._points: list[Configuration] = [full]

    def add(self, found: Line) -> None:
        cost, loss = np.append(self._cost, found.cost), np.append(self._loss, found.loss)
        kept = nondominated(cost, loss)
        known = len(self._points)
        self._points = [self._points[i] if i < known else found.at(int(i) - known) for i in kept]
        self._cost, self._loss = cost[kept], loss[kept]

    def path(self) -> list[Configuration]:
        """From the dearest point to the cheapest."""
        return self._points[::-1]
