"""How well the backbone's answer can be read off a feature: a ridge probe in closed form, judged by leaving one out."""

import numpy as np

from offramp.arrays import Bool, Float

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Ridge penalties tried, as multiples of the mean squared length of the standardised features."""


def agrees(
    features: Float[np.ndarray, "samples width"], answers: Float[np.ndarray, "samples classes"]
) -> Bool[np.ndarray, " samples"]:
    """Whether a linear probe that has not seen a sample names its class, for each sample.

    The probe is ridge regression on one-hot classes (the largest entry of `answers`). In its dual form the answer to a
    sample that was left out needs no refit: with G = (K + λI)⁻¹ and α = G Y it is y_i − α_i / G_ii (Rasmussen and
    Williams 2006, eq. 5.12). Of a few penalties the one that agrees most often is taken, so the share is slightly
    optimistic; it serves to compare places, not to promise anything.

    Example:
        >>> x = np.array([[-2.0], [-1.0], [-1.5], [1.0], [2.0], [1.5]])
        >>> agrees(x, np.hstack([-x, x])).tolist()
        [True, True, True, True, True, True]
    """
    x = _standardised(features.astype(np.float64))
    named = answers.argmax(axis=1)
    known, named = np.unique(named, return_inverse=True)  # classes that are never named have no column
    targets = np.eye(len(known))[named]
    centred = targets - targets.mean(axis=0)
    gram = x @ x.T
    found = [_left_out(gram, centred, strength) + targets.mean(axis=0) for strength in STRENGTHS]
    right = [answer.argmax(axis=1) == named for answer in found]
    return max(right, key=lambda each: float(each.mean()))


def _left_out(
    gram: Float[np.ndarray, "samples samples"], targets: Float[np.ndarray, "samples classes"], strength: float
) -> Float[np.ndarray, "samples classes"]:
    """What the probe fitted to all other samples says of each."""
    penalty = strength * max(float(np.trace(gram)) / len(gram), 1e-12)
    inverse = np.linalg.inv(gram + penalty * np.eye(len(gram)))
    left_out: np.ndarray = targets - (inverse @ targets) / np.diag(inverse)[:, None]
    return left_out


def _standardised(x: Float[np.ndarray, "samples width"]) -> Float[np.ndarray, "samples width"]:
    deviation = x.std(axis=0)
    scaled: np.ndarray = (x - x.mean(axis=0)) / np.where(deviation > 1e-6, deviation, 1.0)
    return scaled
