"""The levels at which points are tested: fixed by the goal alone, before any data."""

from collections.abc import Callable, Sequence

import numpy as np

from offramp.arrays import Bool

MAIN_SHARE = 0.7
"""Share of delta spent at the level asked for. At n = 1,000, epsilon = 1 % and delta = 0.1 it costs nothing:
5 losses have p = 0.066 and 6 have p = 0.129, so 0.07 certifies as many as 0.1 does."""

OTHER_LEVELS = (0.25, 0.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)
"""Other levels, as multiples of the one asked for, that share the rest of delta equally. They tell the user
what the points beyond the goal do cost, and which ones are safer than asked; coarse, since each level makes
the others dearer."""


def ladder(max_drop: float, delta: float) -> list[tuple[float, float]]:
    """Levels below 1, each with its share of delta (weighted Bonferroni: what is shown at all of them holds together).

    Example:
        >>> [(round(level, 4), round(share, 5)) for level, share in ladder(0.2, 0.1)]
        [(0.05, 0.0075), (0.1, 0.0075), (0.4, 0.0075), (0.6, 0.0075), (0.2, 0.07)]
    """
    others = [max_drop * multiple for multiple in OTHER_LEVELS if max_drop * multiple < 1.0]
    steps = [(epsilon, (1.0 - MAIN_SHARE) * delta / len(others)) for epsilon in others]
    return [*steps, (max_drop, MAIN_SHARE * delta)] if max_drop < 1.0 else steps


def smallest_passed(
    steps: Sequence[tuple[float, float]], points: int, passed: Callable[[float, float], Bool[np.ndarray, " points"]]
) -> tuple[float | None, ...]:
    """For each point the smallest level at which it passed; None where it passed at none.

    Args:
        steps: levels with their shares of delta.
        points: how many there are.
        passed: says of a level and its share which points pass.

    Example:
        >>> smallest_passed([(0.1, 0.05), (0.2, 0.05)], 3, lambda level, _: np.array([0.0, 0.15, 0.3]) < level)
        (0.1, 0.2, None)
    """
    proved: list[float | None] = [None] * points
    for epsilon, share in sorted(steps, reverse=True):
        for index in np.flatnonzero(passed(epsilon, share)):
            proved[index] = epsilon
    return tuple(proved)


def leading(count: int, points: int) -> Bool[np.ndarray, " points"]:
    """True for the first `count` of `points`.

    Example:
        >>> leading(2, 3)
        array([ True,  True, False])
    """
    return np.arange(points) < count
