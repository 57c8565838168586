"""One threshold per exit, by exact line searches: every point of every line is kept."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from offramp.arrays import Bool, Float, Int
from offramp.decide.pareto import nondominated
from offramp.decide.replay import above_backbone
from offramp.decide.threshold import cuts
from offramp.types import Configuration, ExitTable, Goal


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    """All settings of one exit while the others stay: off first, then its thresholds from high to low."""

    setting: tuple[Configuration, int]
    threshold: Float[np.ndarray, " settings"]
    loss: Float[np.ndarray, " settings"]
    cost: Float[np.ndarray, " settings"]

    def at(self, index: int) -> Configuration:
        base, exit_index = self.setting
        return _set(base, exit_index, None if index == 0 else float(self.threshold[index]))

    def pruned(self) -> "_Line":
        kept = nondominated(self.cost, self.loss)
        # Entry 0 means "off" to `at`, so it stays, dominated or not.
        kept = np.union1d(0, kept)
        return _Line(self.setting, self.threshold[kept], self.loss[kept], self.cost[kept])


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
        front = _Front(table)
        for line in self._lines(above_backbone(table)):
            front.add(line.pruned())
        full = Configuration.full(table.exits - 1)
        path = [full, *(configuration for configuration in front.path() if configuration != full)]
        if self.points is None or len(path) <= self.points:
            return path
        return [path[i] for i in np.unique(np.linspace(0, len(path) - 1, self.points).astype(int))]

    def _lines(self, table: ExitTable) -> Iterator[_Line]:
        """Every line searched; each weight, from the strictest on, starts at the result of the one before."""
        generator = np.random.default_rng(self.seed)
        order = np.argsort(-table.score[:-1], axis=1, kind="stable")
        inner = table.exits - 1
        here = Configuration.full(inner)
        for weight in np.geomspace(table.samples, 0.1, self.lambdas):
            for _ in range(self.rounds):
                for exit_index in generator.permutation(inner):
                    line = _line(table, order[exit_index], here, int(exit_index))
                    yield line
                    here = line.at(int(np.argmin(line.cost + weight * line.loss)))


def _line(table: ExitTable, order: Int[np.ndarray, " samples"], base: Configuration, exit_index: int) -> _Line:
    """Mean excess loss and cost share of `base` with `exit_index` off, and at each of its thresholds."""
    off = _set(base, exit_index, None)
    hit = _hits(table, off)
    arrives = np.logical_not(hit[:exit_index].any(axis=0))
    otherwise = hit.argmax(axis=0)
    leaving = table.cost.leaving(np.array(off.enabled, dtype=bool))
    loss = table.loss[otherwise, np.arange(table.samples)]
    cost = leaving[otherwise]
    queue = order[arrives[order]]
    head = table.cost.head[exit_index] + table.cost.gate[exit_index]
    before = leaving[exit_index - 1] - table.cost.upto[exit_index - 1] if exit_index else 0.0
    loss_step = table.loss[exit_index][queue] - loss[queue]
    cost_step = table.cost.upto[exit_index] + before - cost[queue]
    threshold = cuts(table.score[exit_index][queue])
    cut = np.flatnonzero(~np.isnan(threshold))
    total_loss = loss.sum() + np.append(0.0, np.cumsum(loss_step)[cut])
    total_cost = cost.sum() + np.append(0.0, np.cumsum(cost_step)[cut] + head * queue.size)
    return _Line(
        setting=(base, exit_index),
        threshold=np.append(np.nan, threshold[cut]),
        loss=total_loss / table.samples,
        cost=total_cost / (table.samples * table.cost.backbone),
    )


def _hits(table: ExitTable, configuration: Configuration) -> Bool[np.ndarray, "exits samples"]:
    hit = np.ones(table.score.shape, dtype=bool)
    threshold = np.array(configuration.threshold, dtype=np.float64)[:, None]
    hit[:-1] = np.array(configuration.enabled, dtype=bool)[:, None] & (table.score[:-1] >= threshold)
    return hit


def _set(base: Configuration, exit_index: int, threshold: float | None) -> Configuration:
    """`base` with one exit at `threshold`, or off where it is None."""
    enabled, thresholds = list(base.enabled), list(base.threshold)
    enabled[exit_index] = threshold is not None
    thresholds[exit_index] = 1.0 if threshold is None else threshold
    return Configuration(tuple(enabled), tuple(thresholds))


class _Front:
    """The nondominated points of the lines added so far."""

    def __init__(self, table: ExitTable) -> None:
        full = Configuration.full(table.exits - 1)
        self._cost, self._loss = np.array([1.0]), np.array([0.0])
        self._points: list[Configuration] = [full]

    def add(self, line: _Line) -> None:
        cost, loss = np.append(self._cost, line.cost), np.append(self._loss, line.loss)
        kept = nondominated(cost, loss)
        known = len(self._points)
        self._points = [self._points[i] if i < known else line.at(int(i) - known) for i in kept]
        self._cost, self._loss = cost[kept], loss[kept]

    def path(self) -> list[Configuration]:
        """From the dearest point to the cheapest."""
        return self._points[::-1]
