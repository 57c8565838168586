"""Which of several hypotheses are rejected, so that with probability >= 1 - delta none of them is true."""

from collections.abc import Iterable

import numpy as np

from offramp.arrays import Bool, Float


def fixed_sequence(p_values: Iterable[float], delta: float) -> int:
    """Number of leading hypotheses rejected at `delta`: the last point certified is the one *before* the
    first failure.

    Taking the first that failed, as a released implementation does, breaks the guarantee. What comes after a
    failure is not looked at, however small its p-value. The order must be fixed before the p-values are seen.

    Example:
        >>> fixed_sequence([0.01, 0.04, 0.2, 0.03], delta=0.1)
        2
    """
    rejected = 0
    for p_value in p_values:
        if p_value > delta:
            break
        rejected += 1
    return rejected


def bonferroni(p_values: Float[np.ndarray, " points"], delta: float) -> Bool[np.ndarray, " points"]:
    """Those with p <= delta / points.

    Example:
        >>> bonferroni(np.array([0.02, 0.04, 0.2, 0.03]), delta=0.1)
        array([ True, False, False, False])
    """
    rejected: np.ndarray = p_values <= delta / max(1, p_values.size)
    return rejected


def holm(p_values: Float[np.ndarray, " points"], delta: float) -> Bool[np.ndarray, " points"]:
    """From the smallest p on, while the k-th (from 0) is <= delta / (points - k): never fewer than Bonferroni's
    (Holm 1979).

    Example:
        >>> holm(np.array([0.02, 0.04, 0.2, 0.03]), delta=0.1)
        array([ True,  True, False,  True])
    """
    order = np.argsort(p_values, kind="stable")
    count = fixed_sequence((p_values[order] * np.arange(p_values.size, 0, -1)).tolist(), delta)
    rejected = np.zeros(p_values.size, dtype=bool)
    rejected[order[:count]] = True
    return rejected
