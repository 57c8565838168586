"""SelfXit: a tolerance shared out over the exits, then the subset that saves most."""

from dataclasses import dataclass

import numpy as np

from offramp.arrays import Float
from offramp.decide.replay import above_backbone
from offramp.decide.rule import alone
from offramp.decide.saving import best_subset
from offramp.decide.threshold import cuts
from offramp.search.exchange import Exchange
from offramp.search.path import falling
from offramp.types import Configuration, ExitTable, Goal


@dataclass(frozen=True, slots=True)
class ToleranceBudget:
    """Gives the n-th exit a share of the tolerance T and takes its lowest threshold within it (SelfXit,
    section 3.3).

    The n-th exit in order of depth gets T/2^n, or T/exits without `halving`. Its threshold is the lowest one
    where HR (1 - CA), the share of *all* samples that leave there and disagree with the backbone, is within
    that budget (eq. 3); an exit without such a threshold stays off. The subset with the largest K(S) is kept
    (eq. 4); the budgets are not shared out anew (`OptimisedBudget` does that). On the samples searched, the
    excess loss is at most the sum of the budgets for every subset. That is no promise for other samples:
    certify it.

    Attributes:
        halving: T/2^n, as the paper prefers; otherwise equal shares.
        subset: whether the best subset is taken; otherwise all exits that have a threshold.

    Example:
        >>> from offramp.testing.searchers import random_table
        >>> ToleranceBudget().search(random_table(seed=0), Goal(0.04))[-1].enabled
        (True, True, True)
    """

    halving: bool = True
    subset: bool = True

    def search(self, table: ExitTable, goal: Goal) -> list[Configuration]:
        """The plain backbone, then the best subset where it saves anything."""
        alone(table)
        every = self.thresholds(table, goal)
        return falling(table, [best_subset(table, every) if self.subset else every])

    def budgets(self, inner: int, goal: Goal) -> Float[np.ndarray, " inner"]:
        """Share of all samples that may leave at each exit with an excess loss."""
        if self.halving:
            return goal.max_drop / 2.0 ** np.arange(1, inner + 1)
        return np.full(inner, goal.max_drop / max(inner, 1))

    def thresholds(self, table: ExitTable, goal: Goal) -> Configuration:
        """Every exit at the lowest threshold within its budget, on where there is one."""
        excess_loss = above_backbone(table).loss[:-1]
        budgets = self.budgets(table.exits - 1, goal)
        found = [_lowest(*row) for row in zip(table.score[:-1], excess_loss, budgets, strict=True)]
        enabled = tuple(threshold is not None for threshold in found)
        return Configuration(enabled, tuple(1.0 if t is None else t for t in found))


@dataclass(frozen=True, slots=True)
class OptimisedBudget:
    """Shares the tolerance T out over the exits so that K(S) is as large as the search can make it.

    SelfXit (section 3.3) fixes budgets in advance and names two ways; which is best it leaves open. Here,
    which is ours, budgets b_n >= 0 with a sum of at most T are searched together with the subset, by trading
    them between pairs of exits (`search.exchange`). Thresholds follow from budgets as in the paper: the lowest
    with HR (1 - CA) <= b_n (eq. 3). So its guarantee stays: on the samples searched, every subset of the exits
    that are on loses at most the sum of its budgets, hence at most T. On those samples K(S) is never below that
    of `ToleranceBudget`, whose splits are where the search starts (unless `levels` leaves thresholds out).

    With `once` a sample that several exits would answer wrongly is charged once, with the most it loses at any
    of them. More thresholds fit then, and what is left of the guarantee is this: every subset loses at most T,
    since a sample that leaves loses no more than its charge. The sum of the budgets of a smaller subset no
    longer bounds its loss.

    More freedom fits the noise of the samples better: on others the loss is further above T than with fixed
    budgets. Certify it.

    Attributes:
        once: charge each sample once.
        levels: thresholds tried per exit, evenly in their number where there are more.

    Example:
        >>> from offramp.testing.searchers import random_table
        >>> OptimisedBudget().search(random_table(seed=0), Goal(0.04))[-1].enabled
        (False, True, True)
    """

    once: bool = False
    levels: int = 256

    def search(self, table: ExitTable, goal: Goal) -> list[Configuration]:
        """The plain backbone, then the best thresholds where they save anything."""
        alone(table)
        full = Configuration.full(table.exits - 1)
        above = above_backbone(table)
        best = Exchange.of(above, goal.max_drop, once=self.once, most=self.levels).best()
        return [full, best] if any(best.enabled) else [full]


def _lowest(
    score: Float[np.ndarray, " samples"], excess_loss: Float[np.ndarray, " samples"], budget: float
) -> float | None:
    """The lowest threshold whose hits lose at most `budget` per sample; samples that tie enter together."""
    order = np.argsort(-score, kind="stable")
    threshold = cuts(score[order])
    lost = np.cumsum(excess_loss[order]) / score.size
    within = np.flatnonzero((lost <= budget) & ~np.isnan(threshold))
    return float(threshold[within[-1]]) if within.size else None
