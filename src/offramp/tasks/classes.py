"""What tasks with one right class of several have in common."""

from typing import ClassVar, TypeVar

import numpy as np

from offramp.arrays import Float, Int, Num
from offramp.errors import DataError
from offramp.tasks.task import CLASSES, Means

LEAST = np.finfo(np.float32).tiny
"""Smallest probability, so that likelihoods stay finite."""

Own = TypeVar("Own", bound="OfClasses")
"""A task, whichever it is."""


def softmax(logits: Float[np.ndarray, "samples classes"]) -> Float[np.ndarray, "samples classes"]:
    """Probabilities in double precision, at least `LEAST`.

    Example:
        >>> softmax(np.array([[0.0, 0.0]], np.float32)).tolist()
        [[0.5, 0.5]]
    """
    wide = np.exp((logits - logits.max(axis=1, keepdims=True)).astype(np.float64))
    found: np.ndarray = np.maximum(wide / wide.sum(axis=1, keepdims=True), LEAST)
    return found


def named(output: Float[np.ndarray, "... classes"]) -> Int[np.ndarray, "..."]:
    """The class with the largest logit; of equal ones the first.

    Example:
        >>> named(np.array([[0.0, 2.0, 2.0]])).tolist()
        [1]
    """
    classes: np.ndarray = output.argmax(axis=-1)
    return classes


def apart(answers: Int[np.ndarray, "..."], other: Num[np.ndarray, " samples"]) -> Float[np.ndarray, "..."]:
    """1 where classes differ, else 0."""
    differs: np.ndarray = (answers != other).astype(np.float64)
    return differs


def class_labels(labels: Num[np.ndarray, "samples ..."], classes: int, several: str) -> Int[np.ndarray, " samples"]:
    """The labels as class indices.

    Args:
        labels: as they were read.
        classes: of the model.
        several: what to do where a sample has several.

    Raises:
        DataError: if there is not one whole number in 0..classes - 1 for each sample.
    """
    if labels.ndim != 1:
        raise DataError(f"expected one label per sample, got labels of shape {labels.shape}; {several}")
    if labels.dtype.kind not in "biu":
        raise DataError(f"expected class indices or class names as labels, got {float(labels[labels % 1 != 0][0])}")
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise DataError(
            f"expected labels in 0..{classes - 1}, the classes of the model, got {labels.min()}..{labels.max()}; "
            "where they are those of another task, leave them unread (--no-labels)"
        )
    return labels.astype(np.int64)


class OfClasses:
    """The part of a task that follows from its answer being one class; abstract, what labels mean is said by each.

    Recipes are written for classes, so their names mean themselves, and no setting is open.
    """

    means: ClassVar[Means] = CLASSES

    def predict(self, output: Float[np.ndarray, "... classes"]) -> Int[np.ndarray, "..."]:
        """The class with the largest logit; of equal ones the first."""
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

    def probabilities(self, output: Float[np.ndarray, "samples classes"]) -> Float[np.ndarray, "samples classes"]:
        """Softmax."""
        return softmax(output)

    def settled(self: Own, reference: Float[np.ndarray, "samples classes"]) -> Own:
        """Nothing is open."""
        return self
