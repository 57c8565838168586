"""Figures of merit of probabilities of yes."""

import numpy as np

from offramp.arrays import Float, Num

EDGE = 1e-7
"""Probabilities are kept so far from 0 and 1 in likelihoods."""


def area_under_curve(score: Float[np.ndarray, " samples"], label: Num[np.ndarray, " samples"]) -> float:
    """The chance that a yes scores higher than a no, ties counting half (area under the ROC curve).

    Not a number where all labels are the same.

    Example:
        >>> area_under_curve(np.array([0.1, 0.4, 0.4, 0.9]), np.array([0, 0, 1, 1]))
        0.875
    """
    yes = label > 0
    if yes.all() or not yes.any():
        return float("nan")
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2.0)[place]  # of equal scores the mean rank
    ones, zeros = int(yes.sum()), int((~yes).sum())
    return float((rank[yes].sum() - ones * (ones + 1) / 2.0) / (ones * zeros))


def log_loss(probability: Float[np.ndarray, " samples"], label: Num[np.ndarray, " samples"]) -> float:
    """Mean of -log p(label), in nats.

    Example:
        >>> round(log_loss(np.array([0.5, 0.5]), np.array([0, 1])), 4)
        0.6931
    """
    p = np.clip(probability.astype(np.float64), EDGE, 1.0 - EDGE)
    return float(-np.where(label > 0, np.log(p), np.log1p(-p)).mean())
