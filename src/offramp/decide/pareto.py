"""Operating points that no other one dominates in (cost, loss)."""

from collections.abc import Iterable

import numpy as np

from offramp.arrays import Float, Int
from offramp.types import OperatingPoint, ParetoFront


def nondominated(cost: Float[np.ndarray, " points"], loss: Float[np.ndarray, " points"]) -> Int[np.ndarray, " kept"]:
    """Indices of the points that no other dominates, by rising cost; of equal points the first stays.

    Example:
        >>> nondominated(np.array([0.5, 0.9, 0.7, 0.5]), np.array([0.2, 0.0, 0.3, 0.2]))
        array([0, 1])
    """
    order = np.lexsort((np.arange(cost.size), loss, cost))
    best_before = np.minimum.accumulate(np.append(np.inf, loss[order]))[:-1]
    return order[loss[order] < best_before]


def front(points: Iterable[OperatingPoint]) -> ParetoFront:
    """The points that no other one dominates, sorted by cost; duplicates in (cost, loss) are dropped.

    Example:
        >>> front([]).points
        ()
    """
    candidates = list(points)
    cost = np.array([point.cost for point in candidates], dtype=np.float64)
    loss = np.array([point.loss for point in candidates], dtype=np.float64)
    return ParetoFront(tuple(candidates[i] for i in nondominated(cost, loss)))


def hypervolume(
    cost: Float[np.ndarray, " points"],
    loss: Float[np.ndarray, " points"],
    *,
    worst_cost: float,
    worst_loss: float,
) -> float:
    """Area that the points dominate within the rectangle below (`worst_cost`, `worst_loss`); larger is
    better.

    Example:
        >>> hypervolume(np.array([0.5]), np.array([0.2]), worst_cost=1.0, worst_loss=1.0)
        0.4
    """
    kept = nondominated(cost, loss)
    kept = kept[(cost[kept] < worst_cost) & (loss[kept] < worst_loss)]
    width = np.diff(np.append(cost[kept], worst_cost))
    return float(np.sum(width * (worst_loss - loss[kept])))
