"""How many directions a layer uses: ranks of the covariance of what it says."""

from dataclasses import dataclass

import numpy as np

from offramp.arrays import Float
from offramp.errors import DataError

SHARE = 1e-3
"""Of the largest singular value: what is above it counts in `Ranks.counted`."""


@dataclass(frozen=True)
class Ranks:
    """Three ranks of one covariance.

    Attributes:
        numerical: singular values above largest * width * eps, eps of single precision, in which features are computed:
            the default of `matrix_rank`, and what earlier code of Kubaty et al. 2025 takes.
        counted: singular values above `SHARE` of the largest.
        effective: exp of the entropy of the singular values over their sum (Roy and Vetterli 2007); needs no tolerance.
        samples: of which the covariance was taken; no rank is above `samples - 1`.
        width: entries of a feature; no rank is above it.
    """

    numerical: int
    counted: int
    effective: float
    samples: int
    width: int


def spectrum(features: Float[np.ndarray, "samples width"]) -> Float[np.ndarray, " least"]:
    """The singular values of the features' covariance, falling; those that must be 0 for lack of samples are left out.

    Raises:
        DataError: if there are fewer than two samples, no entries, or numbers that are not finite.

    Example:
        >>> spectrum(np.array([[0.0, 0.0], [2.0, 0.0]])).round(6).tolist()
        [2.0, 0.0]
    """
    check_features(features)
    wide = features.astype(np.float64)
    wide -= wide.mean(axis=0)
    found: np.ndarray = np.linalg.svd(wide, compute_uv=False) ** 2 / (len(wide) - 1)
    return found


def ranks(features: Float[np.ndarray, "samples width"]) -> Ranks:
    """Numerical, counted and effective rank of the features' covariance; all 0 where features are always the same.

    Raises:
        DataError: as `spectrum`.

    Example:
        >>> axes = np.eye(4)[[0, 1, 2, 0, 1, 2]] * [[1], [1], [1], [-1], [-1], [-1]]
        >>> found = ranks(axes)
        >>> found.numerical, found.counted, round(found.effective, 6)
        (3, 3, 3.0)
    """
    values, (samples, width) = spectrum(features), features.shape
    total = float(values.sum())
    if total == 0.0:
        return Ranks(0, 0, 0.0, samples, width)
    share = values[values > 0.0] / total
    return Ranks(
        numerical=int((values > values[0] * width * np.finfo(np.float32).eps).sum()),
        counted=int((values > SHARE * values[0]).sum()),
        effective=float(np.exp(-(share * np.log(share)).sum())),
        samples=samples,
        width=width,
    )


def check_features(features: Float[np.ndarray, "samples width"]) -> None:
    """Refuses what no statistic can be made of.

    Raises:
        DataError: if there are fewer than two samples, no entries, or numbers that are not finite.
    """
    if features.shape[0] < 2 or features.shape[1] < 1:
        raise DataError(f"expected at least two samples with one entry, got features of shape {features.shape}")
    if not np.isfinite(features).all():
        raise DataError("expected finite features, got NaN or infinity; look for them in the inputs or the weights")
