"""SelfXit's score of a subset of exits, K(S), and the subset that maximises it.

Zhang et al., "SelfXit", section 3.4, equation 4. K ignores accuracy: the thresholds, fixed before, keep it
for every subset.
"""

import numpy as np

from offramp.arrays import Float, Int
from offramp.decide.rule import alone
from offramp.types import Configuration, ExitTable

EXACT_UP_TO = 15
"""Largest number of exits for which all subsets are scored: 2^15 subsets take milliseconds."""


def subset_score(table: ExitTable, configuration: Configuration) -> float:
    """K(S): what the subset of enabled exits saves on all samples together, in the unit of the cost profile.

    K(S) = sum over the exits of S, in order of depth, of |H| (C2 - C1) - |M| C1. Of the samples still alive
    at the exit H are those that leave there and M the others; C1 is the cost of the head, C2 that of the
    backbone after the exit (SelfXit, eq. 4). The empty subset scores 0, so the best one is never worse than
    the plain backbone.

    Example:
        >>> from offramp.testing.searchers import random_table
        >>> subset_score(random_table(seed=0), Configuration.full(3))
        0.0
    """
    alone(table)
    head, rest = _head_and_rest(table)
    alive = np.ones(table.samples, dtype=bool)
    score = 0.0
    for index in np.flatnonzero(configuration.enabled):
        hit = alive & (table.score[index] >= np.float64(configuration.threshold[index]))
        missed = alive & ~hit
        score += hit.sum() * (rest[index] - head[index]) - missed.sum() * head[index]
        alive = missed
    return float(score)


def best_subset(table: ExitTable, thresholds: Configuration) -> Configuration:
    """The subset with the largest K(S) among the exits that `thresholds` enables, with those thresholds.

    Exact over all subsets up to `EXACT_UP_TO` exits; beyond, exits are added and removed one at a time while
    that raises K. Of equal subsets the one with fewer exits is taken; no exit at all is a legal answer, with
    K = 0.

    Example:
        >>> from offramp.testing.searchers import random_table
        >>> table = random_table(seed=0)
        >>> best_subset(table, Configuration((True, True, True), (0.999, 0.9, 0.9))).enabled
        (False, True, True)
    """
    alone(table)
    usable = np.flatnonzero(thresholds.enabled)
    if usable.size > EXACT_UP_TO:
        return _greedy(table, thresholds)
    score = _all_scores(table, thresholds, usable)
    size = np.array([mask.bit_count() for mask in range(score.size)])
    best = int(np.lexsort((size, -score))[0])
    return _keep(thresholds, {int(e) for bit, e in enumerate(usable) if best >> bit & 1})


def _head_and_rest(
    table: ExitTable,
) -> tuple[Float[np.ndarray, " inner"], Float[np.ndarray, " inner"]]:
    """C1 and C2 of eq. 4; the gate is part of the head."""
    cost = table.cost
    return (cost.head + cost.gate)[:-1], cost.backbone - cost.upto[:-1]


def _all_scores(
    table: ExitTable, thresholds: Configuration, usable: Int[np.ndarray, " usable"]
) -> Float[np.ndarray, " subsets"]:
    """K of every subset of `usable`, as a bit mask: eq. 4 on counts instead of samples."""
    head, rest = _head_and_rest(table)
    alive = _alive(table, thresholds, usable)
    subset = np.arange(alive.size)
    score = np.zeros(alive.size)
    for bit, exit_index in enumerate(usable):
        before, after = alive[subset & ((1 << bit) - 1)], alive[subset & ((2 << bit) - 1)]
        k = (before - after) * rest[exit_index] - before * head[exit_index]
        score += np.where(subset >> bit & 1, k, 0.0)
    return score


def _alive(
    table: ExitTable, thresholds: Configuration, usable: Int[np.ndarray, " usable"]
) -> Int[np.ndarray, " subsets"]:
    """For every subset of exits, the number of samples that leave at none of them.

    Samples are collapsed to hit patterns; those that miss a subset have a pattern within its complement, and
    the counts of all patterns within each set come from one addition per bit.
    """
    threshold = np.array(thresholds.threshold, dtype=np.float64)[usable]
    hit = table.score[usable] >= threshold[:, None]
    pattern = (hit * (1 << np.arange(usable.size))[:, None]).sum(axis=0)
    within = np.bincount(pattern, minlength=1 << usable.size)
    for bit in range(usable.size):
        view = within.reshape(-1, 2, 1 << bit)
        view[:, 1] += view[:, 0]
    return within[::-1]


def _greedy(table: ExitTable, thresholds: Configuration) -> Configuration:
    usable = {int(e) for e in np.flatnonzero(thresholds.enabled)}
    chosen: set[int] = set()
    best = 0.0
    while True:
        # Fewer exits first: `max` keeps the first of equal ones.
        neighbours = sorted((chosen ^ {e} for e in sorted(usable)), key=len)
        scores = [subset_score(table, _keep(thresholds, s)) for s in neighbours]
        if max(scores) <= best:
            return _keep(thresholds, chosen)
        best = max(scores)
        chosen = neighbours[scores.index(best)]


def _keep(thresholds: Configuration, chosen: set[int]) -> Configuration:
    enabled = tuple(e in chosen for e in range(len(thresholds.enabled)))
    return Configuration(enabled, thresholds.threshold)
