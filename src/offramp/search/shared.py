"""One threshold for all exits, over the subset of exits that serves it best: the default."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from offramp.arrays import Bool, Float, Int
from offramp.decide.replay import above_backbone
from offramp.decide.rule import decisive
from offramp.decide.threshold import between
from offramp.types import Configuration, ExitTable, Goal

TARGETS = (0.5, 1.0, 2.0, 4.0)
"""Multiples of the goal at which a subset is judged: a subset tuned to one loss alone fits the noise of that
loss."""

NEAR = 2.0
"""Half of the path lies at losses up to this multiple of the goal, where the certificate will stop."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """What a shared threshold does as it falls; between two neighbouring entries nothing changes.

    Attributes:
        threshold: falling; one per distinct score at which some sample moves to an earlier exit.
        loss: mean loss.
        cost: mean cost as a share of the backbone's; never rises along the curve.
    """

    threshold: Float[np.ndarray, " events"]
    loss: Float[np.ndarray, " events"]
    cost: Float[np.ndarray, " events"]


@dataclass(frozen=True, slots=True, eq=False)
class _Ranked:
    """A table whose scores are numbered, so that the sorting is done once for all subsets."""

    table: ExitTable
    value: Float[np.ndarray, " ranks"]
    rank: Int[np.ndarray, "inner samples"]

    @classmethod
    def of(cls, table: ExitTable) -> "_Ranked":
        inner = table.score[:-1]
        value, rank = np.unique(inner, return_inverse=True)
        return cls(table, value, rank.reshape(inner.shape))

    def on(self, enabled: Bool[np.ndarray, " inner"]) -> "_Ranked":
        """What is compared with a threshold while these exits are on."""
        if self.table.rule == "direct":
            return self
        return _Ranked.of(replace(self.table, score=decisive(self.table, enabled), rule="direct"))


def curve(table: ExitTable, enabled: Bool[np.ndarray, " inner"]) -> Curve:
    """Exact loss and cost at every distinct shared threshold on the exits in `enabled`.

    As the threshold falls, a sample moves only at its record scores, the maxima over the enabled exits so
    far: it leaves at exit k while the maximum up to k reaches the threshold and the one before k does not. So
    a sample's loss is a sum of steps at its records, and the curve a running sum of all samples' steps: O(E N
    log(E N)).

    Example:
        >>> from offramp.testing.searchers import random_table
        >>> table = random_table(seed=0, exits=3, samples=4)
        >>> curve(table, np.array([True, True])).cost.round(3)
        array([0.959, 0.876, 0.792, 0.709, 0.62 , 0.532, 0.443, 0.354])
    """
    return _curve(_Ranked.of(table), enabled)


def _curve(ranked: _Ranked, enabled: Bool[np.ndarray, " inner"]) -> Curve:
    ranked = ranked.on(enabled)
    table = ranked.table
    if not enabled.any():
        return Curve(np.zeros(0), np.zeros(0), np.zeros(0))
    rows = np.append(np.flatnonzero(enabled), table.exits - 1)
    record = np.maximum.accumulate(ranked.rank[rows[:-1]], axis=0)
    leaving = table.cost.leaving(enabled)[rows]
    cost_step = np.broadcast_to(np.diff(leaving)[:, None], record.shape)
    loss = table.loss[-1].sum() - _fall(record, np.diff(table.loss[rows], axis=0), ranked.value.size)
    cost = leaving[-1] * table.samples - _fall(record, cost_step, ranked.value.size)
    events = np.flatnonzero(np.bincount(record.ravel(), minlength=ranked.value.size))[::-1]
    value = ranked.value[events]
    lower = np.append(value, np.array(-np.inf, dtype=value.dtype))[1:]
    return Curve(
        threshold=between(value, lower),
        loss=loss[events] / table.samples,
        cost=cost[events] / (table.samples * table.cost.backbone),
    )


def _fall(
    record: Int[np.ndarray, "on samples"], step: Float[np.ndarray, "on samples"], ranks: int
) -> Float[np.ndarray, " ranks"]:
    """Sum of the steps at records of at least each rank."""
    at = np.bincount(record.ravel(), weights=step.ravel(), minlength=ranks)
    total: np.ndarray = np.cumsum(at[::-1])[::-1]
    return total


@dataclass(frozen=True, slots=True)
class SharedThreshold:
    """One shared threshold on the calibrated score; what is searched is the subset of exits.

    Per-exit thresholds overfit a few thousand samples and held out were no better, while one number gives a
    nested path of configurations that a fixed-sequence test certifies without a price for multiplicity. The
    scores of the exits must mean the same (a calibrated probability of agreeing with the backbone).

    A subset is judged by the mean, over several target losses around the goal, of the cost reached before the
    excess loss first passes the target. Of equal subsets the one with fewer exits is taken. Where later heads
    hear earlier ones (`ExitTable.together`) all exits stay on.

    Attributes:
        max_exhaustive: up to so many exits all subsets are tried; beyond, exits are removed one by one,
            always the one missed least, and the best subset met on the way is taken.
        points: the longest path returned.
        price: what an exit must lower the mean cost by, as a share of the backbone's, to be kept: it costs more
            than its multiply-accumulates (a call, a comparison, a gather), and on few samples small gains are noise.

    Example:
        >>> from offramp.testing.searchers import random_table
        >>> path = SharedThreshold().search(random_table(seed=0), Goal(0.02))
        >>> path[0].enabled, path[-1].enabled
        ((False, False, False), (False, True, True))
    """

    max_exhaustive: int = 10
    points: int = 400
    price: float = 0.002

    def search(self, table: ExitTable, goal: Goal) -> list[Configuration]:
        """The plain backbone, then one subset of exits at falling thresholds, finest around the goal."""
        ranked = _Ranked.of(above_backbone(table))
        enabled = np.ones(table.exits - 1, dtype=bool) if table.together else self._subset(ranked, goal)
        flags = tuple(bool(on) for on in enabled)
        path = [Configuration.full(table.exits - 1)]
        for threshold in _thin(_curve(ranked, enabled), goal, self.points - 1):
            path.append(Configuration(flags, tuple(float(threshold) if on else 1.0 for on in flags)))
        return path

    def _subset(self, ranked: _Ranked, goal: Goal) -> Bool[np.ndarray, " inner"]:
        inner = ranked.rank.shape[0]
        if inner <= self.max_exhaustive:
            every = (np.array(flags, dtype=bool) for flags in product((False, True), repeat=inner))
            return self._best(ranked, every, goal)
        met = [np.ones(inner, dtype=bool)]
        while met[-1].any():
            met.append(self._best(ranked, [_without(met[-1], int(e)) for e in np.flatnonzero(met[-1])], goal))
        return self._best(ranked, met, goal)

    def _best(
        self, ranked: _Ranked, subsets: Iterable[Bool[np.ndarray, " inner"]], goal: Goal
    ) -> Bool[np.ndarray, " inner"]:
        def rank(enabled: Bool[np.ndarray, " inner"]) -> tuple[float, int]:
            exits = int(enabled.sum())
            merit = _merit(_curve(ranked, enabled), goal) + self.price * exits
            return round(merit, 12), exits  # rounded, so that the order of summation does not decide between equals

        return min(subsets, key=rank)


def _without(enabled: Bool[np.ndarray, " inner"], exit_index: int) -> Bool[np.ndarray, " inner"]:
    fewer = enabled.copy()
    fewer[exit_index] = False
    return fewer


def _merit(curve: Curve, goal: Goal) -> float:
    """Mean over the targets of the cost reached before the loss first passes the target; lower is better."""
    worst_so_far = np.maximum.accumulate(curve.loss)
    reached = np.searchsorted(worst_so_far, np.array(TARGETS) * goal.max_drop, side="right")
    cost = np.append(1.0, np.minimum(curve.cost, 1.0))
    return float(cost[reached].mean())


def _thin(curve: Curve, goal: Goal, points: int) -> Float[np.ndarray, " kept"]:
    """At most `points` thresholds: half evenly in loss up to `NEAR` goals, half evenly in cost to the end."""
    saves = np.flatnonzero((curve.cost < 1.0) & (np.diff(curve.cost, prepend=np.inf) < 0.0))
    if saves.size <= points:
        return curve.threshold[saves]
    worst_so_far = np.maximum.accumulate(curve.loss)[saves]
    near = points - points // 2
    levels = NEAR * goal.max_drop * np.arange(1, near + 1) / near
    by_loss = np.searchsorted(worst_so_far, levels, side="right") - 1
    ladder = np.linspace(-1.0, -curve.cost[saves[-1]], points // 2 + 1)[1:]
    by_cost = np.searchsorted(-curve.cost[saves], ladder, side="right") - 1
    kept = np.unique(np.concatenate([by_loss, by_cost]))
    thinned: np.ndarray = curve.threshold[saves[kept[kept >= 0]]]
    return thinned
