"""Proper scores: least, on average, for who says what is true. They need no bins."""

import numpy as np

from offramp.arrays import Float, Int
from offramp.uncertainty.as_run import as_run


def brier(
    probability: Float[np.ndarray, "*exits samples classes"],
    target: Int[np.ndarray, " samples"],
    exit_index: Int[np.ndarray, " samples"] | None = None,
) -> float:
    """The Brier score (1950): mean over samples of Σ_c (p_c - 1[c = target])², in [0, 2].

    Arguments are those of `as_run`.

    Example:
        >>> round(brier(np.array([[0.8, 0.2]]), np.array([0])), 3)
        0.08
    """
    chosen = as_run(probability, target, exit_index).astype(np.float64)
    at_target = np.take_along_axis(chosen, target[:, None], axis=1)[:, 0]
    return float(((chosen**2).sum(axis=1) - 2 * at_target + 1).mean())


def negative_log_likelihood(
    probability: Float[np.ndarray, "*exits samples classes"],
    target: Int[np.ndarray, " samples"],
    exit_index: Int[np.ndarray, " samples"] | None = None,
) -> float:
    """Mean of -log p(target), in nats; infinite where a target had no probability at all.

    Arguments are those of `as_run`.

    Example:
        >>> round(negative_log_likelihood(np.array([[0.5, 0.5]]), np.array([0])), 4)
        0.6931
    """
    chosen = as_run(probability, target, exit_index).astype(np.float64)
    with np.errstate(divide="ignore"):
        return float(-np.log(np.take_along_axis(chosen, target[:, None], axis=1)).mean())
