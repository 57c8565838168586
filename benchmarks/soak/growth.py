"""How much something grew, by a straight line through what was measured."""

from collections.abc import Sequence

import numpy as np


def growth(seconds: Sequence[float], values: Sequence[float], warm: float) -> float:
    """The growth after the first share `warm` of the time, as a share of the line's beginning.

    Example:
        >>> round(growth([0, 1, 2, 3, 4], [50, 90, 100, 105, 110], 0.5), 6)
        0.1
    """
    time, value = np.array(seconds, float), np.array(values, float)
    after = time >= time[0] + warm * (time[-1] - time[0])
    slope, offset = np.polyfit(time[after], value[after], 1)
    first, last = time[after][0], time[after][-1]
    return float(slope * (last - first) / (slope * first + offset))
