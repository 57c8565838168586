"""Classification, of pictures or of texts: one class per sample."""

from dataclasses import dataclass

import numpy as np

from offramp.arrays import Float, Int, Num
from offramp.tasks.classes import OfClasses, class_labels, named


@dataclass(frozen=True)
class Classification(OfClasses):
    """The answer is the class with the largest logit; of equal ones the first."""

    name: str = "classification"

    def checked(self, labels: Num[np.ndarray, "samples ..."], outputs: int) -> Int[np.ndarray, " samples"]:
        """Class indices.

        Raises:
            DataError: if a sample has several, or one is no class of the model.
        """
        return class_labels(labels, outputs, "for several, build with the task multilabel")

    def measures(
        self,
        output: Float[np.ndarray, "samples classes"],
        reference: Float[np.ndarray, "samples classes"],
        labels: Num[np.ndarray, " samples"] | None,
    ) -> dict[str, float]:
        """None beyond agreement and accuracy."""
        return {}

    def told(self, output: Float[np.ndarray, "samples classes"]) -> dict[str, np.ndarray]:
        """`label`, the class."""
        return {"label": named(output)}
