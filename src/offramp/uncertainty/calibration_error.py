"""How far confidence and correctness are apart, as one number."""

from dataclasses import dataclass

import numpy as np

from offramp.arrays import Float, Int
from offramp.uncertainty.reliability import BINS, Equal, reliability


@dataclass(frozen=True, slots=True)
class CalibrationError:
    """A calibration error with what it was computed from.

    Attributes:
        expected: mean of |right - confidence| over the samples, in [0, 1].
        largest: of any bin (the MCE of Naeini et al. 2015).
        count: samples in each bin that has any. Few samples in many bins make the error of a perfect predictor large.
    """

    expected: float
    largest: float
    count: tuple[int, ...]


def calibration_error(
    probability: Float[np.ndarray, "*exits samples classes"],
    target: Int[np.ndarray, " samples"],
    exit_index: Int[np.ndarray, " samples"] | None = None,
    *,
    bins: int = BINS,
    equal: Equal = "mass",
) -> CalibrationError:
    """Top-label ECE (Guo et al. 2017, eq. 3) over the whole set, in bins of equal mass unless told otherwise.

    Arguments are those of `reliability`.

    Example:
        >>> said = np.array([[0.75, 0.25]] * 4)
        >>> calibration_error(said, np.array([0, 0, 0, 1]))
        CalibrationError(expected=0.0, largest=0.0, count=(4,))
    """
    found = reliability(probability, target, exit_index, bins=bins, equal=equal)
    apart = np.abs(np.array(found.right) - np.array(found.confidence))
    return CalibrationError(found.error, float(apart.max()), found.count)
