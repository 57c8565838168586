"""Thresholds that save most within a tolerance: budgets traded between pairs of exits."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from offramp.arrays import Bool, Float, Int
from offramp.decide.saving import best_subset
from offramp.decide.threshold import cuts
from offramp.types import Configuration, ExitTable

LEAST_GAIN = 1e-9
"""Smallest gain, as a share of the backbone's cost on one sample, for which budget is moved: less is rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """The thresholds of one exit that are worth a thought, as levels: 0 is off, each further one lets more leave.

    Within a set of exits a lower threshold never costs more, so a threshold is worth a thought only where the
    next lower one loses more. Losses in {0, 1} leave at most T N + 1 of them.

    Attributes:
        threshold: of each level; NaN for off.
        lost: sum of the losses of all samples that a level lets leave.
        entry: the first level at which each sample leaves; one more than there are where it never does.
    """

    threshold: Float[np.ndarray, " levels"]
    lost: Float[np.ndarray, " levels"]
    entry: Int[np.ndarray, " samples"]

    @classmethod
    def of(
        cls,
        score: Float[np.ndarray, " samples"],
        loss: Float[np.ndarray, " samples"],
        tolerance: float,
        most: int,
    ) -> "Ladder":
        """The levels that lose at most `tolerance` per sample, thinned to `most`."""
        order = np.argsort(-score, kind="stable")
        threshold, lost = cuts(score[order]), np.cumsum(loss[order])
        cut = np.flatnonzero(~np.isnan(threshold) & (lost / score.size <= tolerance))
        cut = cut[np.append(np.diff(lost[cut]) > 0.0, True)] if cut.size else cut
        if cut.size > most:
            cut = cut[np.unique(np.linspace(0, cut.size - 1, most).astype(int))]
        entry = np.empty(score.size, dtype=np.int64)
        entry[order] = np.searchsorted(cut, np.arange(score.size)) + 1
        return cls(np.append(np.nan, threshold[cut]), np.append(0.0, lost[cut]), entry)

    @property
    def top(self) -> int:
        """The highest level."""
        return int(self.threshold.size) - 1

    def within(self, budget: float) -> int:
        """The highest level that loses at most `budget` per sample."""
        return int(np.flatnonzero(self.lost / self.entry.size <= budget)[-1])


@dataclass(frozen=True, slots=True, eq=False)
class Exchange:
    """The search for levels, one per exit, with the largest K(S) among those that lose at most the tolerance.

    A pair of exits shares what the others leave of the tolerance, and every way to share it is scored at once
    from running sums in two dimensions; so is switching either of them off. The best trade of all pairs is made,
    until none saves anything; then no subset of the exits does, either. The best of three starts is taken: the
    paper's two splits, and no exit at all. Of two exits besides the last the result is the best there is; of
    more it is a local optimum, since three are not traded at once.

    Attributes:
        table: scores, and the excess over the backbone as loss.
        tolerance: mean loss allowed, a share of the samples.
        ladders: one per exit but the last.
        once: charge a sample once, with the most it loses at any exit that would let it leave, instead of at
            each of these exits.
    """

    table: ExitTable
    tolerance: float
    ladders: tuple[Ladder, ...]
    once: bool

    @classmethod
    def of(cls, table: ExitTable, tolerance: float, *, once: bool, most: int) -> "Exchange":
        """The search on `table`, with at most `most` thresholds per exit."""
        rows = zip(table.score[:-1], table.loss[:-1], strict=True)
        ladders = tuple(Ladder.of(score, loss, tolerance, most) for score, loss in rows)
        return cls(table, tolerance, ladders, once)

    def best(self) -> Configuration:
        """The best thresholds found; exits that do not help are off."""
        found = [self._settle(start) for start in self._starts()]
        return self.configuration(min(found, key=lambda levels: (round(self.spent(levels), 6), sum(levels))))

    def configuration(self, levels: tuple[int, ...]) -> Configuration:
        """Levels as thresholds."""
        threshold = (float(one.threshold[k]) if k else 1.0 for one, k in zip(self.ladders, levels, strict=True))
        return Configuration(tuple(k > 0 for k in levels), tuple(threshold))

    def spent(self, levels: tuple[int, ...]) -> float:
        """Cost of all samples together."""
        on = np.array(levels, dtype=np.int64) > 0
        return float(self._cost(self._hits(levels), on).sum())

    def _starts(self) -> Iterator[tuple[int, ...]]:
        inner = len(self.ladders)
        halving, equal = 2.0 ** -np.arange(1.0, inner + 1), np.full(inner, 1.0 / max(inner, 1))
        for share in (halving, equal, np.zeros(inner)):
            yield tuple(one.within(self.tolerance * b) for one, b in zip(self.ladders, share, strict=True))

    def _settle(self, levels: tuple[int, ...]) -> tuple[int, ...]:
        least = LEAST_GAIN * self.table.cost.backbone
        levels = self._pruned(levels)
        while True:
            before = self.spent(levels)
            traded = (self._trade(levels, *pair) for pair in combinations(range(len(levels)), 2))
            levels = self._pruned(min([levels, *traded], key=self.spent))
            if self.spent(levels) > before - least:
                return levels

    def _pruned(self, levels: tuple[int, ...]) -> tuple[int, ...]:
        """The same levels with the exits off that the best subset does without."""
        kept = best_subset(self.table, self.configuration(levels)).enabled
        return tuple(k if on else 0 for k, on in zip(levels, kept, strict=True))

    def _trade(self, levels: tuple[int, ...], i: int, j: int) -> tuple[int, ...]:
        """The cheapest levels of exits i < j while the others stay, if cheaper than those they have."""
        cost = self._pair_cost(levels, i, j)
        allowed = self._pair_loss(levels, i, j) / self.table.samples <= self.tolerance
        cost = np.where(allowed, cost, np.inf)
        a, b = np.unravel_index(int(cost.argmin()), cost.shape)
        if cost[a, b] > self.spent(levels) - LEAST_GAIN * self.table.cost.backbone:
            return levels
        traded = list(levels)
        traded[i], traded[j] = int(a), int(b)
        return tuple(traded)

    def _pair_cost(self, levels: tuple[int, ...], i: int, j: int) -> Float[np.ndarray, "levels_i levels_j"]:
        """Cost of all samples at every pair of levels; row and column 0 have that exit off."""
        hits, on = self._hits(levels), np.array(levels) > 0
        cost = np.empty((self.ladders[i].top + 1, self.ladders[j].top + 1))
        for on_i, on_j in ((False, False), (True, False), (False, True), (True, True)):
            on[i], on[j] = on_i, on_j
            corner = np.empty((2, 2, self.table.samples))
            for hit_i, hit_j in np.ndindex(2, 2):
                hits[i], hits[j] = on_i and hit_i, on_j and hit_j
                corner[hit_i, hit_j] = self._cost(hits, on)
            part = (slice(1, None) if on_i else slice(1), slice(1, None) if on_j else slice(1))
            cost[part] = self._sums(corner, i, j)[part]
        return cost

    def _pair_loss(self, levels: tuple[int, ...], i: int, j: int) -> Float[np.ndarray, "levels_i levels_j"]:
        """What is charged at every pair of levels, in sum over the samples."""
        lost = [float(one.lost[k]) for one, k in zip(self.ladders, levels, strict=True)]
        if not self.once:
            others = sum(loss for e, loss in enumerate(lost) if e not in (i, j))
            apart: np.ndarray = others + self.ladders[i].lost[:, None] + self.ladders[j].lost
            return apart
        hits = self._hits(levels)[:-1]
        hits[[i, j]] = False
        rest = (hits * self.table.loss[:-1]).max(axis=0)
        either = np.maximum(rest, self.table.loss[[i, j]])
        return self._sums(np.array([[rest, either[1]], [either[0], either.max(axis=0)]]), i, j)

    def _sums(self, corner: Float[np.ndarray, "2 2 samples"], i: int, j: int) -> Float[np.ndarray, "levels_i levels_j"]:
        """Sum over the samples at every pair of levels; `corner` has their values by whether i and j let them leave."""
        one, other = self.ladders[i], self.ladders[j]
        shape = (one.top + 2, other.top + 2)
        cell = np.ravel_multi_index((one.entry, other.entry), shape)
        both = corner[1, 1] - corner[1, 0] - corner[0, 1] + corner[0, 0]
        rises = np.bincount(cell, weights=both, minlength=shape[0] * shape[1]).reshape(shape)
        total = rises.cumsum(axis=0).cumsum(axis=1)
        total += np.bincount(one.entry, weights=corner[1, 0] - corner[0, 0], minlength=shape[0]).cumsum()[:, None]
        total += np.bincount(other.entry, weights=corner[0, 1] - corner[0, 0], minlength=shape[1]).cumsum()
        sums: np.ndarray = (total + corner[0, 0].sum())[:-1, :-1]
        return sums

    def _hits(self, levels: tuple[int, ...]) -> Bool[np.ndarray, "exits samples"]:
        hits = np.ones(self.table.score.shape, dtype=bool)
        for e, (one, level) in enumerate(zip(self.ladders, levels, strict=True)):
            hits[e] = one.entry <= level
        return hits

    def _cost(
        self, hits: Bool[np.ndarray, "exits samples"], on: Bool[np.ndarray, " inner"]
    ) -> Float[np.ndarray, " samples"]:
        spent: np.ndarray = self.table.cost.leaving(on)[hits.argmax(axis=0)]
        return spent
