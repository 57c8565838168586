"""Where to put a threshold between two recorded scores."""

import numpy as np

from offramp.arrays import Float


def between(upper: Float[np.ndarray, " cuts"], lower: Float[np.ndarray, " cuts"]) -> Float[np.ndarray, " cuts"]:
    """Thresholds that let `upper` leave and keep `lower`: halfway where that can be told apart, else `upper`
    itself.

    Halfway, a score that an executor computes slightly differently still falls on the recorded side. The
    result stays in the precision of the scores, so that a runtime in that precision decides as the replay
    does. `lower` may be `-inf`, which gives `upper`.

    Example:
        >>> between(np.array([0.8, 0.5]), np.array([0.5, -np.inf]))
        array([0.65, 0.5 ])
    """
    with np.errstate(invalid="ignore", over="ignore"):
        halfway = (lower + (upper - lower) / 2).astype(upper.dtype)
    return np.where(np.isfinite(halfway) & (halfway > lower) & (halfway <= upper), halfway, upper)


def cuts(score: Float[np.ndarray, " samples"]) -> Float[np.ndarray, " samples"]:
    """For scores in falling order, the threshold that lets exactly the samples up to each position leave.

    NaN where the next score is equal: samples with the same score leave together.

    Example:
        >>> cuts(np.array([0.9, 0.7, 0.7, 0.4]))
        array([0.8 ,  nan, 0.55, 0.4 ])
    """
    lower = np.append(score, np.array(-np.inf, dtype=score.dtype))[1:]
    return np.where(score > lower, between(score, lower), np.array(np.nan, dtype=score.dtype))
