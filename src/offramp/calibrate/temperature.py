"""Temperature scaling (Guo et al. 2017), with the backbone's class as the target (SelfXit, section 3.3)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from offramp.arrays import Float
from offramp.calibrate.calibrator import Target
from offramp.errors import DataError
from offramp.scientific import scipy

RANGE = (0.1, 10.0)
"""Temperatures searched. Where an exit is right on every sample the optimum is 0, whose softmax would be all
ones: the scores would tie and no threshold could tell samples apart, so the range stays well above."""


@dataclass(frozen=True, slots=True)
class Temperature:
    """Divides the logits by one number, which keeps the class and changes the confidence.

    Attributes:
        temperature: above 1 makes an exit less sure of itself, below 1 surer; 1 changes nothing.

    Example:
        >>> Temperature(2.0)(np.array([[4.0, 0.0]]))
        array([[2., 0.]])
    """

    temperature: float = 1.0

    def fit(self, logits: Float[np.ndarray, "samples classes"], target: Target) -> "Temperature":
        """The temperature in `RANGE` with the least negative log likelihood of `target`; this one is left as
        it is.

        Example:
            >>> sure = np.array([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [4.0, 0.0]])
            >>> round(Temperature().fit(sure, np.array([0, 0, 0, 1])).temperature, 2)
            3.64
        """
        check_target(logits, target)
        wide = logits.astype(np.float64)
        return Temperature(likeliest(lambda t: negative_log_likelihood(wide / t, target)))

    def __call__(self, logits: Any) -> Any:
        """`logits / T`, for a NumPy array, a torch tensor, or anything else that a number divides."""
        return logits / self.temperature


def likeliest(loss: Callable[[float], float]) -> float:
    """The temperature in `RANGE` with the least loss.

    A negative log likelihood is convex in 1/T, so it has one minimum in log T as well, which a bounded search finds.
    """
    found = scipy("optimize", "temperatures").minimize_scalar(
        lambda log_t: loss(float(np.exp(log_t))), bounds=tuple(np.log(RANGE)), method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(found.x))


def check_target(logits: Float[np.ndarray, "samples classes"], target: Target) -> None:
    """Refuses what no calibrator can be fitted to.

    Raises:
        DataError: if there are no targets, one is no class or probability, or a logit is not finite.
    """
    classes = logits.shape[1]
    most = classes - 1 if target.ndim == 1 else 1
    wrong = (
        target.shape[1:] not in ((), (classes,)) or target.size == 0 or not 0 <= target.min() <= target.max() <= most
    )
    if wrong or not np.isfinite(logits).all():
        raise DataError(
            f"expected finite logits and at least one target in [0, {classes}), got {target.size} "
            f"targets and logits of shape {logits.shape}; check the samples given to the calibrator"
        )


def negative_log_likelihood(logits: Float[np.ndarray, "samples classes"], target: Target) -> float:
    """Mean of -log softmax(logits)[target], in nats; of probabilities its expectation, the cross entropy.

    Example:
        >>> round(negative_log_likelihood(np.zeros((1, 2)), np.array([0])), 4)
        0.6931
    """
    soft = target.ndim == 2
    chosen = (target * logits).sum(axis=1) if soft else np.take_along_axis(logits, target[:, None], axis=1)[:, 0]
    return float((np.logaddexp.reduce(logits, axis=1) - chosen).mean())
