"""DyCE: one exit type per position and one threshold per exit, for a sweep of weights between accuracy and cost."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from offramp.arrays import Float, Int
from offramp.decide.rule import alone
from offramp.errors import InputError
from offramp.scientific import scipy
from offramp.search.line import Arrivals, line, with_threshold
from offramp.search.objective import Scale, cautious_loss, idle_cost
from offramp.search.path import falling
from offramp.types import Configuration, ExitTable, Goal

LEAST_GAIN = 1e-12
"""Smallest fall of J that counts as one: less is rounding."""


@dataclass(frozen=True, slots=True)
class Dyce:
    """Minimises J = lambda (1 - A) + (1 - lambda) M over (position x type) for many lambdas (DyCE, Wang et al. 2024).

    Exits of a table that stand at one depth (`cost.upto`) are the types of one position, of which at most one is
    on. A is the accuracy by the table's `loss`, with labels (error) or without (disagreement); M is the mean cost.
    With everything else fixed, one exit's best threshold is a problem in one dimension.

    *Single pass*: from the shallowest position to the deepest, each takes the type and threshold, or none, that
    is best with the earlier ones fixed and no later ones yet. *Iterative*: the single best change over all
    positions and types, again and again while J falls. Alone, the first is quick and short-sighted; as the start
    of the second it saves most of its rounds, which is the default here, and ours.

    Ours too is the exact solution in one dimension (`search.line`): J is a step function of a threshold. `brent`
    is the released code's: bounded Brent on [0, 1], for comparison. The code lets a sample leave where its score
    is above the threshold, here also where it is equal; and it takes the front on the data it evaluates on, here
    on the data searched.

    Attributes:
        single: start with a single pass.
        iterative: go on until no single change lowers J.
        brent: solve each problem by SciPy's `fminbound`, which needs scores in [0, 1].
        normalised: A and M as the released code scales them (`Scale`).
        quantile: judge each exit by that quantile of its accuracy (`cautious_loss`), 0.1 in the code; None by its mean.
        lambdas: the weights of accuracy, in [0, 1]; the code's are 0.50, 0.51, ... 1.00.
        rounds: the most changes of an iterative search, per weight.

    Example:
        >>> from offramp.testing.searchers import random_table
        >>> path = Dyce().search(random_table(seed=0), Goal(0.02))
        >>> len(path), path[1].enabled
        (7, (False, True, True))
    """

    single: bool = True
    iterative: bool = True
    brent: bool = False
    normalised: bool = True
    quantile: float | None = None
    lambdas: tuple[float, ...] = tuple(round(0.5 + 0.01 * i, 2) for i in range(51))
    rounds: int = 1000

    def __post_init__(self) -> None:
        if not (self.single or self.iterative):
            raise InputError("expected a single pass, an iterative search or both, got neither; set one of them")
        if not all(0.0 <= weight <= 1.0 for weight in self.lambdas):
            raise InputError(f"expected weights of accuracy in [0, 1], got {self.lambdas}; leave out the others")
        if self.quantile is not None and not 0.0 < self.quantile < 1.0:
            raise InputError(f"expected a quantile in (0, 1), got {self.quantile}; DyCE takes 0.1")

    def search(self, table: ExitTable, goal: Goal) -> list[Configuration]:
        """The plain backbone, then the front of what the weights gave, from dear to cheap; `goal` plays no part."""
        alone(table)
        return falling(table, (self.settle(table, weight) for weight in self.lambdas))

    def settle(self, table: ExitTable, weight: float) -> Configuration:
        """What is found for one lambda."""
        return self.rounds_of(table, weight)[-1][0]

    def rounds_of(self, table: ExitTable, weight: float) -> list[tuple[Configuration, float]]:
        """The start, with its J, then what each round of the iterative search accepted."""
        problem = _Problem.of(table, self, weight)
        start = Configuration.full(table.exits - 1)
        found = problem.pass_once(start) if self.single else problem.without(start)
        if not self.iterative:
            return [found]
        return [found, *problem.improve(found, self.rounds)]


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """J on one table for one weight."""

    table: ExitTable
    order: Int[np.ndarray, "inner samples"]
    positions: tuple[tuple[int, ...], ...]
    scale: Scale
    weight: float
    brent: bool
    quantile: float | None

    @classmethod
    def of(cls, table: ExitTable, options: Dyce, weight: float) -> "_Problem":
        order = np.argsort(-table.score[:-1], axis=1, kind="stable")
        scale = Scale.of(table, normalised=options.normalised)
        return cls(table, order, positions(table), scale, weight, options.brent, options.quantile)

    def without(self, start: Configuration) -> tuple[Configuration, float]:
        """The configuration that never leaves early, with its J."""
        never = np.array([float(self.table.loss[-1].mean())]), np.array([1.0])
        return start, float(self.scale.value(*never, self.weight)[0])

    def pass_once(self, start: Configuration) -> tuple[Configuration, float]:
        """From shallow to deep, each position once."""
        found = self.without(start)
        for position in self.positions:
            # None comes first: an exit has to be better to be switched on.
            found = min([found, *self._types(found[0], position)], key=lambda one: round(one[1], 12))
        return found

    def improve(self, found: tuple[Configuration, float], rounds: int) -> Iterator[tuple[Configuration, float]]:
        """The best single change, while there is one that lowers J."""
        for _ in range(rounds):
            tried = (one for position in self.positions for one in self._types(found[0], position))
            best = min(tried, key=lambda one: round(one[1], 12), default=found)
            if best[1] > found[1] - LEAST_GAIN:
                return
            found = best
            yield found

    def _types(self, here: Configuration, position: tuple[int, ...]) -> Iterator[tuple[Configuration, float]]:
        """The position without an exit, then the best threshold of each type, with their J."""
        for exit_index in position:
            here = with_threshold(here, exit_index, None)
        for exit_index in position:
            yield from self._solve(here, exit_index)

    def _solve(self, off: Configuration, exit_index: int) -> Iterator[tuple[Configuration, float]]:
        """`off` itself, then `off` with the best threshold at an exit, with their J."""
        reached = Arrivals.of(self.table, self.order[exit_index], off, exit_index)
        found = line(self.table, reached)
        loss = found.loss if self.quantile is None else cautious_loss(self.table, reached, self.quantile)
        worth = self.scale.value(loss, found.cost, self.weight)
        yield off, float(worth[0])
        if worth.size == 1:
            return
        if self.brent:
            idle = self.scale.value(loss[:1], np.array([idle_cost(self.table, reached, found)]), self.weight)
            lowest = self.table.score[exit_index][reached.queue[reached.cut]]
            threshold, value = bounded(lowest, np.append(idle, worth[1:]))
        else:
            best = 1 + int(np.round(worth[1:], 12).argmin())
            threshold, value = float(found.threshold[best]), float(worth[best])
        yield with_threshold(off, exit_index, threshold), value


def positions(table: ExitTable) -> tuple[tuple[int, ...], ...]:
    """The exits but the last, grouped by where they stand: those at one depth are types of one position.

    Example:
        >>> from offramp.testing.searchers import random_table
        >>> positions(random_table(seed=0))
        ((0,), (1,), (2,))
    """
    inner = table.cost.upto[:-1]
    return tuple(tuple(int(e) for e in np.flatnonzero(inner == depth)) for depth in np.unique(inner))


def bounded(score: Float[np.ndarray, " cuts"], value: Float[np.ndarray, " settings"]) -> tuple[float, float]:
    """Where SciPy's bounded Brent on [0, 1] ends on a step function, and the value there.

    Args:
        score: the distinct scores, falling.
        value: below which threshold: entry k where the first k of the scores leave.

    Example:
        >>> threshold, value = bounded(np.array([0.9, 0.6, 0.2]), np.array([3.0, 2.0, 1.0, 4.0]))
        >>> 0.2 < threshold <= 0.6, value
        (True, 1.0)
    """
    rising = score[::-1].astype(np.float64)

    def at(threshold: float) -> float:
        return float(value[rising.size - int(np.searchsorted(rising, threshold, side="left"))])

    found = float(scipy("optimize", "DyCE's bounded Brent").fminbound(at, 0.0, 1.0))
    return found, at(found)
