"""Click-through and other yes-or-no questions: one probability per sample (SelfXit, section 3.5)."""

from dataclasses import dataclass

import numpy as np

from offramp.arrays import Float, Int, Num
from offramp.errors import DataError
from offramp.tasks.binary import area_under_curve, log_loss
from offramp.tasks.classes import apart, class_labels, named, softmax
from offramp.tasks.task import CLASSES, Means


@dataclass(frozen=True)
class Ctr:
    """The model gives one logit z, of the answer yes; it is taken as the two logits (0, z).

    So the confidence max(p, 1 - p) of SelfXit is the largest probability of two classes, and all that is known of
    classes holds. The answer is yes where p > 1/2.
    """

    name: str = "ctr"

    @property
    def means(self) -> Means:
        """Recipes are written for classes, of which there are two."""
        return CLASSES

    def predict(self, output: Float[np.ndarray, "... classes"]) -> Int[np.ndarray, "..."]:
        """1 for yes, 0 for no."""
        return named(output)

    def disagreement(
        self,
        outputs: Float[np.ndarray, "exits samples classes"],
        reference: Float[np.ndarray, "samples classes"],
    ) -> Float[np.ndarray, "exits samples"]:
        """1 where an exit says yes and the backbone no, or the other way round."""
        return apart(named(outputs), named(reference))

    def error(
        self, outputs: Float[np.ndarray, "exits samples classes"], labels: Num[np.ndarray, " samples"]
    ) -> Float[np.ndarray, "exits samples"]:
        """1 where an exit's answer is not the label."""
        return apart(named(outputs), labels)

    def checked(self, labels: Num[np.ndarray, "samples ..."], outputs: int) -> Int[np.ndarray, " samples"]:
        """0 and 1; where the labels are -1 and 1, -1 counts as 0.

        Raises:
            DataError: if there are others.
        """
        if labels.ndim == 1 and set(np.unique(labels).tolist()) <= {-1, 1}:
            labels = (labels > 0).astype(np.int64)
        found = class_labels(labels, 2, "the task ctr has one answer")
        if outputs != 2:
            raise DataError(f"expected a model with one logit for the task ctr, got {outputs} classes")
        return found

    def probabilities(self, output: Float[np.ndarray, "samples classes"]) -> Float[np.ndarray, "samples classes"]:
        """Of no and of yes."""
        return softmax(output)

    def graded(self, reference: Float[np.ndarray, "samples classes"]) -> Float[np.ndarray, "samples classes"]:
        """Of no and of yes: a click is worth its probability."""
        return softmax(reference)

    def measures(
        self,
        output: Float[np.ndarray, "samples classes"],
        reference: Float[np.ndarray, "samples classes"],
        labels: Num[np.ndarray, " samples"] | None,
    ) -> dict[str, float]:
        """`auc` and `log_loss` (nats), held against the labels; without labels none."""
        if labels is None:
            return {}
        click = softmax(output)[:, 1]
        return {"auc": area_under_curve(click, labels), "log_loss": log_loss(click, labels)}

    def told(self, output: Float[np.ndarray, "samples classes"]) -> dict[str, np.ndarray]:
        """`label`, and `probability` of yes."""
        return {"label": named(output), "probability": softmax(output)[:, 1].astype(np.float32)}

    def settled(self, reference: Float[np.ndarray, "samples classes"]) -> "Ctr":
        """Nothing is open."""
        return self
