"""Spreads that fit the errors: one factor for each value of a regression."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from offramp.arrays import Float, Num
from offramp.calibrate.parametric import like
from offramp.errors import DataError

RANGE = (1e-3, 1e3)
"""Factors that there can be: an exit that is right on every sample would else be sure beyond what numbers can say."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Multiplies the spread of each value by a number; values stay as they are.

    An output is K values, then the logarithms of their spreads.

    Attributes:
        scale: one factor per value; empty before `fit`, which changes nothing.

    Example:
        >>> Spread((2.0,))(np.array([[7.0, 0.0]])).round(3)
        array([[7.   , 0.693]])
    """

    scale: tuple[float, ...] = ()

    def fit(self, logits: Float[np.ndarray, "samples outputs"], target: Num[np.ndarray, "targets ..."]) -> "Spread":
        """The factors under which `target` is likeliest if errors are normal: for each value the root mean square of
        its errors, each divided by the spread that goes with it.

        Raises:
            DataError: if there are no samples, there is not one target for each value, or something is not finite.

        Example:
            >>> Spread().fit(np.array([[0.0, 0.0], [0.0, 0.0]]), np.array([3.0, -3.0])).scale
            (3.0,)
        """
        count = logits.shape[1] // 2
        wide = logits.astype(np.float64)
        if not target.size or target.size != len(logits) * count or not np.isfinite(wide).all():
            raise DataError(
                f"expected finite outputs and {count} targets for each sample, got outputs of shape {logits.shape} and "
                f"targets of shape {target.shape}; check the samples given to the calibrator"
            )
        truth = target.astype(np.float64).reshape(-1, count)
        if not np.isfinite(truth).all():
            raise DataError("expected finite targets, got NaN or infinity; check the samples given to the calibrator")
        away = (truth - wide[:, :count]) * np.exp(-np.clip(wide[:, count:], -100.0, 100.0))
        found = np.clip(np.sqrt((away**2).mean(axis=0)), *RANGE)
        return Spread(tuple(found.tolist()))

    @property
    def arrays(self) -> tuple[Float[np.ndarray, " outputs"], ...]:
        """What is added to an output: nothing to values; nothing at all before `fit`."""
        if not self.scale:
            return ()
        return (np.concatenate([np.zeros(len(self.scale)), np.log(self.scale)]),)

    def apply(self, logits: Any, *arrays: Any) -> Any:
        """The output with the array added, which is of its kind."""
        return logits + arrays[0] if arrays else logits

    def __call__(self, logits: Any) -> Any:
        """The output with other spreads, for a NumPy array or a torch tensor."""
        return self.apply(logits, *(like(logits, array) for array in self.arrays))
