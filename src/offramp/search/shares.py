"""Thresholds from exit shares: how many samples are to leave at each exit, instead of how sure they must be."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from offramp.arrays import Int
from offramp.decide.rule import alone
from offramp.decide.threshold import between
from offramp.search.path import falling
from offramp.types import Configuration, ExitTable, Goal

STEPS = (1, 4)
"""How many parts are moved from one exit to another at a time."""


@dataclass(frozen=True, slots=True)
class GeometricShares:
    """Lets shares proportional to q^k leave at exit k, for a sweep of q: the baseline JEI-DNN is compared with.

    From EENet (Ilhan et al. 2024) is how shares become thresholds: exit by exit, the share's number of samples,
    rounded down, are taken from those that remain, highest score first, and the lowest score taken is the
    threshold; what nobody takes is left to the last exit. The shares themselves, which in EENet a trained network
    assigns, are geometric over all exits with q = p/20 for p = 1 ... 39: the rule by which JEI-DNN (Regol et al.
    2024) sets the thresholds of the methods it is compared with. One number for many exits sends samples to poor
    early ones; hence a weak rival.

    Ours: samples with equal scores leave together, also beyond the share; the threshold lies halfway to the next
    score; an exit with no sample to take is off and its head not paid; dominated results are left out.

    Attributes:
        ratios: the values of q, positive.

    Example:
        >>> from offramp.testing.searchers import random_table
        >>> path = GeometricShares(ratios=(0.2, 1.0, 2.0)).search(random_table(seed=0), Goal(0.02))
        >>> [configuration.enabled for configuration in path]
        [(False, False, False), (True, True, True), (True, True, True), (True, True, True)]
    """

    ratios: tuple[float, ...] = tuple(p / 20 for p in range(1, 40))

    def search(self, table: ExitTable, goal: Goal) -> list[Configuration]:
        """The plain backbone, then the front of what the ratios gave, from dear to cheap; `goal` plays no part."""
        alone(table)
        takers = _Takers(table)
        return falling(table, (takers.take(counts(q, table))[0] for q in self.ratios))


@dataclass(frozen=True, slots=True)
class OptimisedShares:
    """Searches the shares that lose least within a mean cost, for a sweep of budgets.

    From EENet (Ilhan et al. 2024) are the question, least loss at a mean cost, and how shares become thresholds
    (see `GeometricShares`). The answer is ours: EENet trains a network to assign samples to exits and takes its
    mean assignment as shares. Here the samples are divided into equal parts, and parts are moved from one exit to
    another. While a budget is exceeded, the move that loses least per cost saved is made; within it, the one that
    loses least. Then one move beyond the budget is tried and paid back. Budgets fall, and each starts from the one
    before. An exit without a part is off, so subsets are searched as well.

    It is a local search on the scores of the table; thresholds fitted per exit overfit, so certify the result.

    Attributes:
        parts: into how many parts the samples are divided; at most one per sample.
        budgets: number of budgets, evenly from the backbone's cost to the cheapest exit's.

    Example:
        >>> from offramp.testing.searchers import random_table
        >>> path = OptimisedShares(budgets=4).search(random_table(seed=0), Goal(0.02))
        >>> [configuration.enabled for configuration in path]
        [(False, False, False), (False, False, True), (True, False, True), (True, True, True), (True, False, False)]
    """

    parts: int = 20
    budgets: int = 20

    def search(self, table: ExitTable, goal: Goal) -> list[Configuration]:
        """The plain backbone, then the best of each budget, from dear to cheap; `goal` plays no part."""
        alone(table)
        parts = min(self.parts, table.samples)
        descent = _Descent(_Takers(table), parts)
        here = (0,) * (table.exits - 1) + (parts,)
        found = []
        cheapest = float(min([1.0, *(descent.cost(alone) for alone in descent.alone())]))
        for budget in np.linspace(1.0, cheapest, self.budgets):
            here = descent.within(here, float(budget) + 1e-12)
            found.append(descent.at(here)[0])
        return falling(table, found)


def counts(ratio: float, table: ExitTable) -> list[int]:
    """How many samples each exit but the last is to take: N q^k / (q^0 + q^1 + ...), rounded down.

    Example:
        >>> from offramp.testing.searchers import random_table
        >>> counts(0.5, random_table(seed=0, exits=3, samples=70))
        [40, 20]
    """
    weight = ratio ** np.arange(table.exits)
    # A share that is a whole number of samples but for rounding stays one.
    return [int(n) for n in np.floor(weight / weight.sum() * table.samples + 1e-9)[:-1]]


class _Takers:
    """The samples of a table, sorted by score at each exit."""

    def __init__(self, table: ExitTable) -> None:
        self.table = table
        self._order = np.argsort(-table.score[:-1], axis=1, kind="stable")

    def take(self, numbers: Sequence[int]) -> tuple[Configuration, float, float]:
        """The configuration that lets so many samples leave at each exit, its mean loss and its cost share."""
        table = self.table
        left = np.full(table.samples, table.exits - 1)
        enabled, threshold = [False] * len(numbers), [1.0] * len(numbers)
        for e, number in enumerate(numbers):
            queue = self._order[e][left[self._order[e]] == table.exits - 1]
            if number == 0 or queue.size == 0:
                continue
            taken, threshold[e] = self._cut(e, queue, number)
            enabled[e], left[taken] = True, e
        leaving = table.cost.leaving(np.array(enabled, dtype=bool))
        loss = table.loss[left, np.arange(table.samples)].mean()
        configuration = Configuration(tuple(enabled), tuple(threshold))
        return configuration, float(loss), float(leaving[left].mean() / table.cost.backbone)

    def _cut(self, exit_index: int, queue: Int[np.ndarray, " waiting"], number: int) -> tuple[np.ndarray, float]:
        """Those of the queue that leave, equal scores together, and the threshold that lets them."""
        score = self.table.score[exit_index][queue]
        lowest = score[min(number, queue.size) - 1]
        size = int(np.searchsorted(-score, -lowest, side="right"))
        lower = np.append(score, np.array(-np.inf, dtype=score.dtype))[size : size + 1]
        return queue[:size], float(between(score[size - 1 : size], lower)[0])


class _Descent:
    """Moves of parts between exits; what each division gives is worked out once."""

    def __init__(self, takers: _Takers, parts: int) -> None:
        self._takers, self._parts = takers, parts
        self._known: dict[tuple[int, ...], tuple[Configuration, float, float]] = {}

    def at(self, shares: tuple[int, ...]) -> tuple[Configuration, float, float]:
        """Configuration, loss and cost of a division into parts."""
        if shares not in self._known:
            samples = self._takers.table.samples
            self._known[shares] = self._takers.take([n * samples // self._parts for n in shares[:-1]])
        return self._known[shares]

    def cost(self, shares: tuple[int, ...]) -> float:
        """Cost share of a division."""
        return self.at(shares)[2]

    def alone(self) -> Iterator[tuple[int, ...]]:
        """The divisions that leave everything to one exit."""
        exits = self._takers.table.exits
        return (tuple(self._parts if e == one else 0 for e in range(exits)) for one in range(exits - 1))

    def within(self, here: tuple[int, ...], budget: float) -> tuple[int, ...]:
        """The least loss found within the budget, from `here` on; `here` itself where nothing is cheap enough."""
        here = self._improved(self._repaired(here, budget), budget)
        while True:
            beyond = self._best_rate(here, [n for n in self._moves(here) if self._key(n) < self._key(here)])
            if beyond is None:
                return here
            again = self._improved(self._repaired(beyond, budget), budget)
            if self.cost(again) > budget or self._key(again) >= self._key(here):
                return here
            here = again

    def _repaired(self, here: tuple[int, ...], budget: float) -> tuple[int, ...]:
        """Moves that save, the one that loses least per cost first, until the budget is kept."""
        while self.cost(here) > budget:
            cheaper = self._best_rate(here, [n for n in self._moves(here) if self.cost(n) < self.cost(here) - 1e-12])
            if cheaper is None:
                return here
            here = cheaper
        return here

    def _improved(self, here: tuple[int, ...], budget: float) -> tuple[int, ...]:
        """Moves within the budget, the one with the least loss first, while there is a better one."""
        while True:
            best = min((n for n in self._moves(here) if self.cost(n) <= budget), key=self._key, default=here)
            if self._key(best) >= self._key(here):
                return here
            here = best

    def _best_rate(self, here: tuple[int, ...], others: list[tuple[int, ...]]) -> tuple[int, ...] | None:
        """The move with the best exchange of loss for cost."""
        _, loss, cost = self.at(here)

        def rate(other: tuple[int, ...]) -> float:
            _, lost, spent = self.at(other)
            return (lost - loss) / max(abs(spent - cost), 1e-12)

        return min(others, key=rate, default=None)

    def _key(self, shares: tuple[int, ...]) -> tuple[float, float]:
        _, loss, cost = self.at(shares)
        return round(loss, 12), round(cost, 12)

    def _moves(self, here: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        for giver, taker in permutations(range(len(here)), 2):
            for step in STEPS:
                if here[giver] >= step:
                    moved = list(here)
                    moved[giver] -= step
                    moved[taker] += step
                    yield tuple(moved)
