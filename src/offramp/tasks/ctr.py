"""Click-through and other yes-or-no questions: one probability per sample (SelfXit, section 3.5)."""

from dataclasses import dataclass

import numpy as np

from offramp.arrays import Float, Int, Num
from offramp.errors import DataError
from offramp.tasks.binary import area_under_curve, log_loss
from offramp.tasks.classes import OfClasses, class_labels, named, softmax


@dataclass(frozen=True)
class Ctr(OfClasses):
    """The model gives one logit z, of the answer yes; it is taken as the two logits (0, z).

    So the confidence max(p, 1 - p) of SelfXit is the largest probability of two classes, and all that is known of
    classes holds. The answer is yes where p > 1/2.
    """

    name: str = "ctr"

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
