"""Some of many operating points, where all would hide what there is to see."""

from collections.abc import Collection, Sequence

from offramp.evaluation import Evaluated
from offramp.kept import FULL, LEVELS

MOST = 14
"""Points in a list that is to be taken in at a glance."""

NAMED = frozenset((FULL, *(name for name, _ in LEVELS)))
"""Names of points that people ask for."""


def few(points: Sequence[Evaluated], most: int = MOST, wanted: Collection[str] = ()) -> list[Evaluated]:
    """At most so many points in their order: those with a name of their own, the ends, and others spread over the cost.

    Args:
        points: from the dearest to the cheapest.
        most: how many; named and wanted ones are kept even where they are more.
        wanted: further names that are kept.
    """
    if len(points) <= most:
        return list(points)
    asked = {index for index, point in enumerate(points) if point.name in NAMED or point.name in wanted}
    kept = {0, len(points) - 1} | asked
    while len(kept) < most:
        left = [index for index in range(len(points)) if index not in kept]
        kept.add(max(left, key=lambda index: _apart(points, index, kept)))
    return [points[index] for index in sorted(kept)]


def _apart(points: Sequence[Evaluated], index: int, kept: Collection[int]) -> float:
    """How far in cost a point is from the nearest that is kept."""
    return min(abs(points[index].cost_ratio - points[other].cost_ratio) for other in kept)
