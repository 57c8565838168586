"""One exit at all its thresholds while the others stay: the exact one-dimensional problem."""

from dataclasses import dataclass

import numpy as np

from offramp.arrays import Bool, Float, Int
from offramp.decide.pareto import nondominated
from offramp.decide.threshold import cuts
from offramp.types import Configuration, ExitTable


@dataclass(frozen=True, slots=True, eq=False)
class Arrivals:
    """The samples that reach an exit, surest first, and where each sample would leave without it.

    Attributes:
        off: the configuration with the exit off.
        exit_index: the exit.
        queue: the samples that arrive, by falling score.
        otherwise: where each sample of the table leaves with the exit off.
        cut: positions in the queue up to which samples can be let leave; equal scores leave together.
        threshold: the threshold of each of these cuts, falling.
    """

    off: Configuration
    exit_index: int
    queue: Int[np.ndarray, " arriving"]
    otherwise: Int[np.ndarray, " samples"]
    cut: Int[np.ndarray, " cuts"]
    threshold: Float[np.ndarray, " cuts"]

    @classmethod
    def of(
        cls, table: ExitTable, order: Int[np.ndarray, " samples"], base: Configuration, exit_index: int
    ) -> "Arrivals":
        """Who arrives at `exit_index` under `base`; `order` is all samples by falling score there."""
        off = with_threshold(base, exit_index, None)
        hit = _hits(table, off)
        arrives = np.logical_not(hit[:exit_index].any(axis=0))
        queue = order[arrives[order]]
        threshold = cuts(table.score[exit_index][queue])
        cut = np.flatnonzero(~np.isnan(threshold))
        return cls(off, exit_index, queue, hit.argmax(axis=0), cut, threshold[cut])


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """All settings of one exit while the others stay: off first, then its thresholds from high to low.

    Attributes:
        setting: the configuration with the exit off, and the exit.
        threshold: NaN for off.
        loss: mean loss.
        cost: mean cost as a share of the backbone's.
    """

    setting: tuple[Configuration, int]
    threshold: Float[np.ndarray, " settings"]
    loss: Float[np.ndarray, " settings"]
    cost: Float[np.ndarray, " settings"]

    def at(self, index: int) -> Configuration:
        """The configuration of a setting."""
        base, exit_index = self.setting
        return with_threshold(base, exit_index, None if index == 0 else float(self.threshold[index]))

    def pruned(self) -> "Line":
        """Off, and the settings that no other one dominates."""
        kept = nondominated(self.cost, self.loss)
        # Entry 0 means "off" to `at`, so it stays, dominated or not.
        kept = np.union1d(0, kept)
        return Line(self.setting, self.threshold[kept], self.loss[kept], self.cost[kept])


def line(table: ExitTable, arrivals: Arrivals) -> Line:
    """Mean loss and cost share with the exit off, and at each of its thresholds: running sums, O(N).

    Example:
        >>> from offramp.testing.searchers import random_table
        >>> table = random_table(seed=0, exits=2, samples=4)
        >>> order = np.argsort(-table.score[0], kind="stable")
        >>> line(table, Arrivals.of(table, order, Configuration.full(1), 0)).cost.round(3)
        array([1.   , 0.896, 0.771, 0.646, 0.521])
    """
    index, queue = arrivals.exit_index, arrivals.queue
    leaving = table.cost.leaving(np.array(arrivals.off.enabled, dtype=bool))
    loss = table.loss[arrivals.otherwise, np.arange(table.samples)]
    cost = leaving[arrivals.otherwise]
    head = table.cost.head[index] + table.cost.gate[index]
    before = leaving[index - 1] - table.cost.upto[index - 1] if index else 0.0
    loss_step = table.loss[index][queue] - loss[queue]
    cost_step = table.cost.upto[index] + before - cost[queue]
    total_loss = loss.sum() + np.append(0.0, np.cumsum(loss_step)[arrivals.cut])
    total_cost = cost.sum() + np.append(0.0, np.cumsum(cost_step)[arrivals.cut] + head * queue.size)
    return Line(
        setting=(arrivals.off, index),
        threshold=np.append(np.nan, arrivals.threshold),
        loss=total_loss / table.samples,
        cost=total_cost / (table.samples * table.cost.backbone),
    )


def with_threshold(base: Configuration, exit_index: int, threshold: float | None) -> Configuration:
    """`base` with one exit at `threshold`, or off where it is None.

    Example:
        >>> with_threshold(Configuration.full(2), 1, 0.5)
        Configuration(enabled=(False, True), threshold=(1.0, 0.5))
    """
    enabled, thresholds = list(base.enabled), list(base.threshold)
    enabled[exit_index] = threshold is not None
    thresholds[exit_index] = 1.0 if threshold is None else threshold
    return Configuration(tuple(enabled), tuple(thresholds))


def _hits(table: ExitTable, configuration: Configuration) -> Bool[np.ndarray, "exits samples"]:
    hit = np.ones(table.score.shape, dtype=bool)
    threshold = np.array(configuration.threshold, dtype=np.float64)[:, None]
    hit[:-1] = np.array(configuration.enabled, dtype=bool)[:, None] & (table.score[:-1] >= threshold)
    return hit
