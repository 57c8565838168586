"""Temperature scaling where each label is answered by itself."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from offramp.arrays import Bool, Float, Num
from offramp.calibrate.temperature import Temperature, likeliest
from offramp.errors import DataError


@dataclass(frozen=True, slots=True)
class EachTemperature:
    """One number for all labels; once it is fitted it is a `Temperature`.

    Example:
        >>> logits = np.array([[4.0], [4.0], [4.0], [4.0]])
        >>> round(EachTemperature().fit(logits, np.array([[1], [1], [1], [0]])).temperature, 2)
        3.64
    """

    def fit(
        self,
        logits: Float[np.ndarray, "samples labels"],
        target: Num[np.ndarray, "targets labels_of_each"] | Bool[np.ndarray, "targets labels_of_each"],
    ) -> Temperature:
        """The temperature in `calibrate.temperature.RANGE` with the least negative log likelihood of the labels.

        Args:
            logits: of each label.
            target: whether a sample has it.

        Raises:
            DataError: if there are none, they are other than 0 and 1, or a logit is not finite.
        """
        if target.shape != logits.shape or not target.size or not np.isfinite(logits).all():
            raise DataError(
                f"expected finite logits and a target for each of them, got logits of shape {logits.shape} and targets "
                f"of shape {target.shape}; check the samples given to the calibrator"
            )
        if not np.isin(target, (0, 1)).all():
            raise DataError("expected targets of 0 and 1, got others; check the samples given to the calibrator")
        away = np.where(target > 0, -1.0, 1.0) * logits.astype(np.float64)
        return Temperature(likeliest(lambda t: float(np.logaddexp(0.0, away / t).mean())))

    def __call__(self, logits: Any) -> Any:
        """The logits, as long as it is not fitted."""
        return logits
