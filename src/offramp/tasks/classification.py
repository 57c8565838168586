"""Classification, of pictures or of texts: one class per sample."""

from dataclasses import dataclass

import numpy as np

from offramp.arrays import Float, Int, Num
from offramp.tasks.classes import apart, class_labels, named, softmax
from offramp.tasks.task import CLASSES, Means


@dataclass(frozen=True)
class Classification:
    """The answer is the class with the largest logit; of equal ones the first."""

    name: str = "classification"

    @property
    def means(self) -> Means:
        """Recipes are written for classes."""
        return CLASSES

    def predict(self, output: Float[np.ndarray, "... classes"]) -> Int[np.ndarray, "..."]:
        """The class of each sample."""
        return named(output)

    def disagreement(
        self,
        outputs: Float[np.ndarray, "exits samples classes"],
        reference: Float[np.ndarray, "samples classes"],
    ) -> Float[np.ndarray, "exits samples"]:
        """1 where an exit names another class than the backbone."""
        return apart(named(outputs), named(reference))

    def error(
        self, outputs: Float[np.ndarray, "exits samples classes"], labels: Num[np.ndarray, " samples"]
    ) -> Float[np.ndarray, "exits samples"]:
        """1 where an exit names another class than the label."""
        return apart(named(outputs), labels)

    def checked(self, labels: Num[np.ndarray, "samples ..."], outputs: int) -> Int[np.ndarray, " samples"]:
        """Class indices.

        Raises:
            DataError: if a sample has several, or one is no class of the model.
        """
        return class_labels(labels, outputs, "for several, build with the task multilabel")

    def probabilities(self, output: Float[np.ndarray, "samples classes"]) -> Float[np.ndarray, "samples classes"]:
        """Softmax."""
        return softmax(output)

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

    def settled(self, reference: Float[np.ndarray, "samples classes"]) -> "Classification":
        """Nothing is open."""
        return self
