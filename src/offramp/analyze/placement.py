"""Which places to leave at, one after the other by what each adds."""

import numpy as np

from offramp.arrays import Bool, Float


def greedy(
    agrees: Bool[np.ndarray, "points samples"],
    upto: Float[np.ndarray, " points"],
    price: Float[np.ndarray, " points"],
    most: int,
) -> list[tuple[int, float]]:
    """(point, gain) in the order of choice: what each point adds to what the ones before it save.

    The saving of a set is that of an oracle: each sample leaves at the first point of the set where the probe names the
    backbone's class, which saves what comes behind; every point of the set that a sample passes costs its price. The
    next point is always the one that adds most; where none adds anything the list ends. Coverage of this kind is
    submodular but for the price, so greed is near the best set (Nemhauser et al. 1978).

    Args:
        agrees: whether the probe at a point names the backbone's class.
        upto: share of the backbone's cost spent at a point.
        price: of having an exit there, as a share of the backbone's cost.
        most: the longest list.

    Example:
        >>> agrees = np.array([[True, False, False, False], [True, True, True, False]])
        >>> [(point, round(gain, 3)) for point, gain in greedy(agrees, np.array([0.1, 0.5]), np.full(2, 0.01), 5)]
        [(1, 0.365), (0, 0.093)]
    """
    chosen: list[tuple[int, float]] = []
    saved = 0.0
    while len(chosen) < most:
        left = [point for point in range(len(upto)) if point not in {index for index, _ in chosen}]
        if not left:
            break
        values = [saving(agrees, upto, price, [*(index for index, _ in chosen), point]) for point in left]
        best = int(np.argmax(values))
        if values[best] <= saved + 1e-12:
            break
        chosen.append((left[best], values[best] - saved))
        saved = values[best]
    return chosen


def saving(
    agrees: Bool[np.ndarray, "points samples"],
    upto: Float[np.ndarray, " points"],
    price: Float[np.ndarray, " points"],
    chosen: list[int],
) -> float:
    """Mean share of the backbone's cost that an oracle saves with these points."""
    order = sorted(chosen, key=lambda point: (upto[point], point))
    hit = np.vstack([agrees[order], np.ones(agrees.shape[1], dtype=bool)])
    first = hit.argmax(axis=0)
    spent = np.append(upto[order] + np.cumsum(price[order]), 1.0 + price[order].sum())
    return float(1.0 - spent[first].mean())
