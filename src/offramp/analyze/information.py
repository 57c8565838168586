"""How much a layer says about its inputs, and about the answers, in nats.

A layer is a function of the inputs, so that it says all that they are, whatever it does. What is measured is a noisy
copy Z' = Z + N(0, s² I) (as in Goldfeld et al. 2019), which is a mixture of one Gaussian around each sample. The
entropy of a mixture has bounds by the distances of all pairs (Kolchinsky and Tracey 2017): with KL divergences from
above, with Bhattacharyya distances (Chernoff's with α = 1/2) from below. I(X;Z') is then h(Z') - h(noise), and I(Z';Y)
is h(Z') less the mean of h(Z'|y).

All of it is about the samples as they are: I(X;Z') is at most ln(samples), and near that it says only that all samples
lie further apart than the noise. Compare at equal noise, relative to the scale of the features, and on equal samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offramp.analyze.rank import check_features
from offramp.arrays import Float, Int
from offramp.errors import DataError, InputError

BELOW, ABOVE = 8.0, 2.0
"""A squared distance d over so many s²: the Bhattacharyya distance and the KL divergence of two Gaussians of one s."""


@dataclass(frozen=True)
class Information:
    """What a noisy copy of a layer says, in nats.

    Attributes:
        noise: s as a share of the root mean squared distance of the features from their mean.
        deviation: s.
        inputs: bounds of I(X;Z'), lower and upper.
        answers: bounds of I(Z';Y), the mean over the columns of the answers.
        answers_alike: estimates of I(Z';Y) that lie closer together and are no bounds: both entropies by their lower
            bound, and both by their upper one.
        entropy: H(Y), the mean over columns; I(Z';Y) is at most that.
        most: ln(samples); I(X;Z') is at most that.
    """

    noise: float
    deviation: float
    inputs: tuple[float, float]
    answers: tuple[float, float]
    answers_alike: tuple[float, float]
    entropy: float
    most: float


def information(
    features: Float[np.ndarray, "samples width"],
    answers: Int[np.ndarray, "columns answered"],
    noises: Sequence[float],
) -> list[Information]:
    """I(X;Z') and I(Z';Y) at each level of noise.

    Args:
        features: Z, one row for each sample.
        answers: Y, one class for each sample, or several columns of them.
        noises: s as shares of the scale of the features.

    Raises:
        DataError: if features are too few, always the same or not finite, or answers are not one for each sample.
        InputError: if a noise is not above 0.

    Example:
        Two far clusters are told apart without error, and nothing within them is:

        >>> z = np.repeat([[-1.0], [1.0]], 8, axis=0)
        >>> found, = information(z, np.repeat([[0, 1]], 8, axis=1), [0.1])
        >>> [round(value, 4) for value in (*found.inputs, *found.answers, found.entropy)]
        [0.6931, 0.6931, 0.6931, 0.6931, 0.6931]
    """
    check_features(features)
    if answers.shape[1] != len(features) or len(answers) == 0:
        raise DataError(f"expected an answer for each of {len(features)} samples, got answers of shape {answers.shape}")
    if not noises or not all(noise > 0.0 for noise in noises):
        raise InputError(f"expected noises above 0 as shares of the features' scale, got {tuple(noises)}")
    scale = _scale(features)
    if scale == 0.0:
        raise DataError("expected features that differ between samples, got all the same; there is nothing to measure")
    apart = squared_distances(features)
    return [_at(apart, answers, noise, noise * scale) for noise in noises]


def squared_distances(features: Float[np.ndarray, "samples width"]) -> Float[np.ndarray, "samples samples"]:
    """Of all pairs; the diagonal is 0.

    Example:
        >>> squared_distances(np.array([[0.0, 0.0], [3.0, 4.0]])).tolist()
        [[0.0, 25.0], [25.0, 0.0]]
    """
    wide = features.astype(np.float64)
    wide -= wide.mean(axis=0)  # so that large means cost no digits
    length = (wide**2).sum(axis=1)
    found: np.ndarray = np.maximum(length[:, None] + length[None, :] - 2.0 * wide @ wide.T, 0.0)
    np.fill_diagonal(found, 0.0)
    return found


def beyond_noise(apart: Float[np.ndarray, "samples samples"], deviation: float) -> tuple[float, float]:
    """Bounds of h(Z') - h(noise) of the mixture of the samples, lower and upper.

    Example:
        >>> lower, upper = beyond_noise(np.array([[0.0, 1e6], [1e6, 0.0]]), 1.0)
        >>> round(lower, 4), round(upper, 4)
        (0.6931, 0.6931)
    """
    lower, upper = (
        float(-np.log(np.exp(-apart / (times * deviation**2)).mean(axis=1)).mean()) for times in (BELOW, ABOVE)
    )
    return lower, upper


def _at(
    apart: Float[np.ndarray, "samples samples"], answers: Int[np.ndarray, "columns samples"], noise: float, s: float
) -> Information:
    inputs = beyond_noise(apart, s)
    columns = np.array([_of_answers(apart, inputs, column, s) for column in answers])
    low, high, alike_low, alike_high, entropy = columns.mean(axis=0).tolist()
    return Information(noise, s, inputs, (low, high), (alike_low, alike_high), entropy, float(np.log(len(apart))))


def _of_answers(
    apart: Float[np.ndarray, "samples samples"],
    inputs: tuple[float, float],
    column: Int[np.ndarray, " samples"],
    s: float,
) -> tuple[float, float, float, float, float]:
    """Lower and upper bound, estimates by lower and by upper entropies, and H(Y), of one column."""
    known, counts = np.unique(column, return_counts=True)
    weight = counts / len(column)
    within = np.zeros(2)
    for one, share in zip(known, weight, strict=True):
        rows = np.flatnonzero(column == one)
        within += share * np.array(beyond_noise(apart[np.ix_(rows, rows)], s))
    entropy = float(-(weight * np.log(weight)).sum())
    found = (inputs[0] - within[1], inputs[1] - within[0], inputs[0] - within[0], inputs[1] - within[1])
    low, high, by_low, by_high = (float(np.clip(value, 0.0, entropy)) for value in found)
    return low, high, by_low, by_high, entropy


def _scale(features: Float[np.ndarray, "samples width"]) -> float:
    """Root mean squared distance from the mean."""
    return float(np.sqrt(features.astype(np.float64).var(axis=0).sum()))
