"""Regression: one or several values for each sample, each with a spread by which an exit says how sure it is."""

import math
from dataclasses import dataclass

import numpy as np

from offramp.arrays import Bool, Float, Num
from offramp.errors import DataError, InputError
from offramp.tasks.task import Means

SHARE = 0.1
"""Of the standard deviation of the backbone's values: the tolerance where none is said."""


@dataclass(frozen=True)
class Regression:
    """An output is K values, then the logarithms of their K standard deviations.

    An answer counts as wrong where any value is further from the one it is held against than its tolerance.

    Attributes:
        tolerance: of each value, in its own unit, or one for all; None: a tenth of the standard deviation of each.
    """

    tolerance: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.tolerance is not None and not (
            self.tolerance and all(math.isfinite(one) and one > 0.0 for one in self.tolerance)
        ):
            raise InputError(
                f"expected tolerances above 0 for the task regression, got {','.join(map(str, self.tolerance))}; "
                "say how far from the value an answer may be, as in regression:0.5"
            )

    @classmethod
    def of(cls, settings: str | None) -> "Regression":
        """The task by what is behind the colon of its name.

        Raises:
            InputError: if that is not a list of numbers above 0.

        >>> Regression.of("0.5,2").name
        'regression:0.5,2'
        """
        if settings is None:
            return cls()
        try:
            return cls(tuple(float(part) for part in settings.split(",")))
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"expected tolerances such as regression:0.5 or regression:0.5,2, got regression:{settings}"
            ) from error

    @property
    def name(self) -> str:
        """With the tolerances, where they are known."""
        if self.tolerance is None:
            return "regression"
        return "regression:" + ",".join(f"{one!r}".removesuffix(".0") for one in self.tolerance)

    @property
    def means(self) -> Means:
        """Cross-entropies become Gaussian likelihoods, and confidence the probability of being near enough."""
        return Means(
            task=self.name,
            regime={"distil": "distil-values", "selfxit": "distil-values", "disjoint": "values"},
            gate={"max-prob": "within"},
            calibrator={"temperature": "spread", "none": "none"},
            tolerance=self.tolerance or (),
            parts=2,
        )

    def predict(self, output: Float[np.ndarray, "... outputs"]) -> Float[np.ndarray, "..."]:
        """The values `(..., K)`; `(...)` where there is one."""
        values = _values(output)
        one: np.ndarray = values[..., 0]
        return one if values.shape[-1] == 1 else values

    def disagreement(
        self,
        outputs: Float[np.ndarray, "exits samples outputs"],
        reference: Float[np.ndarray, "samples outputs"],
    ) -> Float[np.ndarray, "exits samples"]:
        """1 where any value is further than its tolerance from the backbone's."""
        return self._beyond(_values(outputs), _values(reference)).astype(np.float64)

    def error(
        self, outputs: Float[np.ndarray, "exits samples outputs"], labels: Num[np.ndarray, "samples ..."]
    ) -> Float[np.ndarray, "exits samples"]:
        """1 where any value is further than its tolerance from the label."""
        return self._beyond(_values(outputs), labels.reshape(len(labels), -1)).astype(np.float64)

    def _beyond(
        self, values: Float[np.ndarray, "exits samples values"], other: Num[np.ndarray, "samples values"]
    ) -> Bool[np.ndarray, "exits samples"]:
        if self.tolerance is None:
            raise InputError("expected a task with tolerances, got regression; say them, or settle the task first")
        apart = np.abs(values.astype(np.float64) - other.astype(np.float64))
        found: np.ndarray = np.any(apart > np.array(self.tolerance), axis=-1)
        return found

    def checked(self, labels: Num[np.ndarray, "samples ..."], outputs: int) -> Float[np.ndarray, "samples values"]:
        """A row of values for each sample.

        Raises:
            DataError: if there are not as many as the model gives, or one is not finite.
        """
        values = outputs // 2
        found = labels[:, None] if labels.ndim == 1 else labels
        if found.ndim != 2 or found.shape[1] != values:
            many = "one number" if values == 1 else f"a row of {values} numbers"
            raise DataError(f"expected {many} as the label of each sample, got labels of shape {labels.shape}")
        if not np.isfinite(found).all():
            raise DataError(f"expected finite labels for the task {self.name}, got NaN or infinity; clean or drop them")
        return found.astype(np.float64)

    def probabilities(self, output: Float[np.ndarray, "samples outputs"]) -> None:
        """There are no classes."""
        return

    def measures(
        self,
        output: Float[np.ndarray, "samples outputs"],
        reference: Float[np.ndarray, "samples outputs"],
        labels: Num[np.ndarray, "samples values"] | None,
    ) -> dict[str, float]:
        """`mae_to_model` and `largest_to_model`: mean and largest distance from the backbone's values; and against
        labels `mae`, `rmse` and `r2`, all of them means over the values.

        r2 is not a number where a label is the same for all samples.
        """
        values = _values(output).astype(np.float64)
        moved = np.abs(values - _values(reference).astype(np.float64))
        found = {"mae_to_model": float(moved.mean()), "largest_to_model": float(moved.max())}
        if labels is None:
            return found
        truth = labels.reshape(len(labels), -1).astype(np.float64)
        squares = ((values - truth) ** 2).mean(axis=0)
        spread = truth.var(axis=0)
        explained = 1.0 - squares / np.where(spread > 0.0, spread, np.nan)
        return found | {
            "mae": float(np.abs(values - truth).mean()),
            "rmse": float(np.sqrt(squares).mean()),
            "r2": float(explained.mean()),
        }

    def told(self, output: Float[np.ndarray, "samples outputs"]) -> dict[str, np.ndarray]:
        """`value`, and its `spread`, the standard deviation that the exit expects; next to nothing of the backbone."""
        count = output.shape[-1] // 2
        spread = np.exp(output[:, count:].astype(np.float64)).astype(np.float32)
        return {"value": self.predict(output), "spread": spread[:, 0] if count == 1 else spread}

    def settled(self, reference: Float[np.ndarray, "samples outputs"]) -> "Regression":
        """With a tolerance for each value: `SHARE` of its standard deviation where none was said.

        Raises:
            InputError: if the values are all the same, or there is another number of tolerances than values.
        """
        values = _values(reference).astype(np.float64)
        count = values.shape[1]
        if self.tolerance is None:
            found = tuple(float(f"{SHARE * one:.3g}") for one in values.std(axis=0))
            if not all(found):
                raise InputError(
                    "expected values of the model that differ between samples, from which tolerances follow, got all "
                    "the same; say tolerances, as in regression:0.5"
                )
            return Regression(found)
        if len(self.tolerance) not in (1, count):
            raise InputError(
                f"expected one tolerance, or {count}, one for each value of the model, got {len(self.tolerance)}"
            )
        return Regression(self.tolerance * count) if len(self.tolerance) < count else self


def _values(output: Float[np.ndarray, "... outputs"]) -> Float[np.ndarray, "... values"]:
    """The first half of an output."""
    values: np.ndarray = output[..., : output.shape[-1] // 2]
    return values
