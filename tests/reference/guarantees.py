"""Guarantees one sample, one level, one hypothesis at a time, as the papers write them; and a released mistake."""

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations


def betting_upper(losses: Sequence[float], delta: float, largest: float = 1.0) -> float:
    """sup {R in [0, B]: max_i K_i(R) <= 1/delta} by bisection, everything computed anew for each i (Jazbec et al.)."""
    low, high = 0.0, largest
    for _ in range(40):
        middle = (low + high) / 2
        if _most(losses, middle, delta, largest) <= 1 / delta:
            low = middle
        else:
            high = middle
    return high


def _most(losses: Sequence[float], level: float, delta: float, largest: float) -> float:
    n, capital, most = len(losses), 1.0, 0.0
    means = [(0.5 + sum(losses[:j])) / (1 + j) for j in range(n + 1)]
    squares, variances = 0.0, [0.25]
    for j in range(1, n + 1):
        squares += (losses[j - 1] - means[j]) ** 2
        variances.append((0.25 + squares) / (1 + j))
    for j in range(1, n + 1):
        stake = min(1 / largest, math.sqrt(2 * math.log(1 / delta) / (n * variances[j - 1])))
        capital *= 1 - stake * (losses[j - 1] - level)
        most = max(most, capital)
    return most


def conformal(losses: Sequence[Sequence[float]], level: float) -> int:
    """Number of leading points that conformal risk control keeps, in fractions: mean <= ((n + 1) level - B) / n."""
    n, largest = len(losses[0]), [Fraction(0)] * len(losses[0])
    for kept, point in enumerate(losses):
        largest = [max(before, Fraction(loss)) for before, loss in zip(largest, point, strict=True)]
        if sum(largest) / n > ((n + 1) * Fraction(level) - 1) / n:
            return kept
    return len(losses)


def closed_testing(p_values: Sequence[float], delta: float) -> list[bool]:
    """Rejected: those of which every set of hypotheses that holds them has a p-value <= delta / size of the set.

    Closed testing (Marcus et al. 1976) with Bonferroni's test of each intersection, of which Holm's is the shortcut.
    """
    everyone = range(len(p_values))
    sets = [chosen for size in everyone for chosen in combinations(everyone, size + 1)]
    accepted = [chosen for chosen in sets if min(p_values[i] for i in chosen) * len(chosen) > delta]
    return [all(i not in chosen for chosen in accepted) for i in everyone]


def last_that_passed(p_values: Sequence[float], delta: float) -> int:
    """Number of points that a fixed sequence of tests keeps."""
    for index, p_value in enumerate(p_values):
        if p_value > delta:
            return index
    return len(p_values)


def first_that_failed(p_values: Sequence[float], delta: float) -> int:
    """The same as a released implementation has it: the point at which the tests stop is kept, too."""
    return min(last_that_passed(p_values, delta) + 1, len(p_values))
