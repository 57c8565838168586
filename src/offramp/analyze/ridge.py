"""What a linear head could say of samples it has not seen: ridge regression in closed form, each fold left out once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offramp.arrays import Float

FOLDS = 4
"""Parts of the samples, of which each is left out once."""

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)
"""Ridge penalties tried, as multiples of the mean variance of the standardised features."""

WIDEST = 2048
"""Features with more numbers are projected at random onto so many, so that the normal equations stay small."""


def centred_log_probabilities(logits: Float[np.ndarray, "rows classes"]) -> Float[np.ndarray, "rows classes"]:
    """Log-probabilities whose mean over the classes is taken off: what a head is taught, up to what softmax forgets.

    >>> centred_log_probabilities(np.array([[3.0, 1.0], [0.0, 0.0]]))
    array([[ 1., -1.],
           [ 0.,  0.]])
    """
    found: np.ndarray = logits - logits.mean(axis=1, keepdims=True)
    return found


def left_out(
    features: Float[np.ndarray, "rows width"],
    logits: Float[np.ndarray, "rows classes"],
    samples: int,
    seed: int = 0,
    seen: Sequence[int] = (FOLDS - 1,),
) -> Float[np.ndarray, "sizes samples classes"]:
    """Logits of ridge probes for each sample, fitted to the backbone's log-probabilities on folds that lack it.

    Row `i` is a view of sample `i % samples`, and a sample's views are all in its fold. The normal equations of some
    folds are the sums of those of each, so that leaving a fold out, or all but a few, costs one solution and no pass.
    Of a few penalties the one is taken that names the backbone's class most often.

    Args:
        features: what a head would see, the samples themselves first.
        logits: of the backbone on the same rows.
        samples: how many there are.
        seed: of the folds, and of the projection of wide features.
        seen: on how many of the other folds a probe is fitted; several numbers make a learning curve.

    Returns:
        For each number in `seen` what the probes say.

    Example:
        >>> x = np.linspace(-1.0, 1.0, 8)[:, None]
        >>> left_out(x, np.hstack([-3.0 * x, 3.0 * x]), 8)[0].argmax(axis=1)
        array([0, 0, 0, 0, 1, 1, 1, 1])
    """
    generator = np.random.default_rng(seed)
    fold = np.tile(generator.permutation(samples) % FOLDS, len(features) // samples)
    x, y = _narrow(_standardised(features), generator), centred_log_probabilities(logits.astype(np.float64))
    parts = [_Moments.of(x[fold == k], y[fold == k]) for k in range(FOLDS)]
    named = y[:samples].argmax(axis=1)
    curve = []
    for many in seen:
        found = np.empty((len(STRENGTHS), samples, y.shape[1]))
        for k in range(FOLDS):
            fitted, here = _sum([parts[(k + 1 + i) % FOLDS] for i in range(many)]), np.flatnonzero(fold[:samples] == k)
            for index, strength in enumerate(STRENGTHS):
                found[index, here] = fitted.solution(strength)(x[here])
        curve.append(max(found, key=lambda said: float((said.argmax(axis=1) == named).mean())))
    return np.stack(curve)


@dataclass(frozen=True, eq=False)
class _Moments:
    """Sums over some rows, of which sums and differences are those of other rows."""

    count: int
    x: Float[np.ndarray, " width"]
    y: Float[np.ndarray, " classes"]
    xx: Float[np.ndarray, "width width"]
    xy: Float[np.ndarray, "width classes"]

    @classmethod
    def of(cls, x: Float[np.ndarray, "rows width"], y: Float[np.ndarray, "rows classes"]) -> "_Moments":
        return cls(len(x), x.sum(axis=0, dtype=np.float64), y.sum(axis=0), (x.T @ x).astype(np.float64), x.T @ y)

    def __add__(self, other: "_Moments") -> "_Moments":
        return _Moments(
            self.count + other.count, self.x + other.x, self.y + other.y, self.xx + other.xx, self.xy + other.xy
        )

    def solution(self, strength: float) -> "_Linear":
        """The ridge regression of y on x, its intercept unpenalised."""
        mean_x, mean_y = self.x / self.count, self.y / self.count
        covariance = self.xx - self.count * np.outer(mean_x, mean_x)
        penalty = strength * max(float(np.trace(covariance)) / len(covariance), 1e-12)
        weight = np.linalg.solve(
            covariance + penalty * np.eye(len(covariance)), self.xy - self.count * np.outer(mean_x, mean_y)
        )
        return _Linear(weight, mean_y - mean_x @ weight)


def _sum(parts: Sequence[_Moments]) -> _Moments:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


@dataclass(frozen=True, eq=False)
class _Linear:
    weight: Float[np.ndarray, "width classes"]
    bias: Float[np.ndarray, " classes"]

    def __call__(self, x: Float[np.ndarray, "rows width"]) -> Float[np.ndarray, "rows classes"]:
        found: np.ndarray = x @ self.weight + self.bias
        return found


def _standardised(x: Float[np.ndarray, "rows width"]) -> Float[np.ndarray, "rows width"]:
    x = x.astype(np.float32)
    deviation = x.std(axis=0, dtype=np.float64)
    scaled: np.ndarray = (x - x.mean(axis=0, dtype=np.float64)) / np.where(deviation > 1e-6, deviation, 1.0)
    return scaled.astype(np.float32)


def _narrow(x: Float[np.ndarray, "rows width"], generator: np.random.Generator) -> Float[np.ndarray, "rows narrow"]:
    """At most `WIDEST` numbers of each row, by a random projection that about keeps distances."""
    if x.shape[1] <= WIDEST:
        return x
    found: np.ndarray = x @ generator.standard_normal((x.shape[1], WIDEST), dtype=np.float32) / np.float32(WIDEST**0.5)
    return found
