"""The data of a reliability diagram (Niculescu-Mizil and Caruana 2005): how often answers of a confidence are right."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from offramp.arrays import Float, Int
from offramp.errors import InputError
from offramp.uncertainty.as_run import as_run

BINS = 15
"""As in Guo et al. 2017."""

Equal = Literal["mass", "width"]
"""What is equal in all bins: the number of samples, or the length of the interval."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """Bins of samples by the confidence in the class that was answered; empty bins are left out.

    Attributes:
        count: samples in each bin.
        confidence: their mean confidence.
        right: the share of them whose answer is the target.
    """

    count: tuple[int, ...]
    confidence: tuple[float, ...]
    right: tuple[float, ...]

    @property
    def error(self) -> float:
        """The expected calibration error: mean of |right - confidence| over the samples (Naeini et al. 2015)."""
        apart = np.abs(np.array(self.right) - np.array(self.confidence))
        return float(np.average(apart, weights=self.count))


def reliability(
    probability: Float[np.ndarray, "*exits samples classes"],
    target: Int[np.ndarray, " samples"],
    exit_index: Int[np.ndarray, " samples"] | None = None,
    *,
    bins: int = BINS,
    equal: Equal = "mass",
) -> Reliability:
    """Confidence against correctness, of the answered class.

    Args:
        probability: of all samples at once: per batch and averaged, sampling noise looks like miscalibration.
        target: labels, or the backbone's class.
        exit_index: as of `as_run`.
        bins: how many at most. Samples of equal confidence share a bin, so where many tie there are fewer.
        equal: `"mass"`: quantiles of the confidence; `"width"`: intervals [k/bins, (k+1)/bins), the last one closed.

    Example:
        >>> found = reliability(np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]]), np.array([0, 1, 1]), bins=3)
        >>> found.count, found.confidence, found.right
        ((1, 1, 1), (0.6, 0.8, 0.9), (1.0, 0.0, 1.0))
    """
    if bins < 1:
        raise InputError(f"expected at least one bin, got {bins}")
    chosen = as_run(probability, target, exit_index).astype(np.float64)
    confidence, right = chosen.max(axis=1), chosen.argmax(axis=1) == target
    if equal == "mass":
        ranked = np.sort(confidence)
        starts = ranked[np.arange(1, bins) * len(ranked) // bins]
        index = np.searchsorted(np.unique(starts), confidence, side="right")
    else:
        index = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    count = np.bincount(index, minlength=bins)
    held = count > 0
    sums = [np.bincount(index, values, minlength=bins)[held] / count[held] for values in (confidence, right)]
    return Reliability(tuple(count[held].tolist()), tuple(sums[0].tolist()), tuple(sums[1].tolist()))
