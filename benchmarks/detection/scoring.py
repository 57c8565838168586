"""How well detections go with boxes: presence of a class, and the mean average precision."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from benchmarks.detection.coco import Coco
from benchmarks.detection.fastestdet import Detections
from benchmarks.detection.nms import overlaps


@dataclass(frozen=True)
class Presence:
    """How well a threshold tells pictures that show a class from those that do not.

    Attributes:
        precision: of the pictures said to show it, the share that does.
        recall: of the pictures that show it, the share that is said to.
        f1: the harmonic mean of both.
    """

    precision: float
    recall: float
    f1: float

    @classmethod
    def of(cls, said: Bool[np.ndarray, " N"], true: Bool[np.ndarray, " N"]) -> "Presence":
        """From what is said and what is true; 0 where nothing is said or true."""
        both = int((said & true).sum())
        return cls(
            precision=both / max(1, int(said.sum())),
            recall=both / max(1, int(true.sum())),
            f1=2 * both / max(1, int(said.sum() + true.sum())),
        )


def mean_average_precision(found: Sequence[Detections], coco: Coco, overlap: float = 0.5) -> float:
    """The area under the precision over recall, averaged over the classes that the pictures show."""
    labels = np.unique(np.concatenate(coco.labels))
    return float(np.mean([average_precision(found, coco, int(label), overlap) for label in labels]))


def average_precision(found: Sequence[Detections], coco: Coco, label: int, overlap: float = 0.5) -> float:
    """The area under the precision over recall of one class, the precision made falling (as PASCAL VOC since 2010)."""
    scores, right = [np.zeros(0)], [np.zeros(0, bool)]
    objects = 0
    for detections, boxes, labels in zip(found, coco.boxes, coco.labels, strict=True):
        mine, wanted = detections.labels == label, boxes[labels == label]
        scores.append(detections.scores[mine])
        right.append(_matched(detections.boxes[mine], wanted, overlap))
        objects += len(wanted)
    best = np.concatenate(right)[np.argsort(-np.concatenate(scores), kind="stable")]
    hits = best.cumsum()
    precision = hits / np.arange(1, len(best) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    return float(falling[best].sum() / objects)


def _matched(
    boxes: Float[np.ndarray, "found 4"], wanted: Float[np.ndarray, "wanted 4"], overlap: float
) -> Bool[np.ndarray, " found"]:
    """Which boxes, best first, are the first on the object that they overlap most."""
    taken = np.zeros(len(wanted), bool)
    right = np.zeros(len(boxes), bool)
    for index, box in enumerate(boxes):
        parts = overlaps(box, wanted)
        if len(wanted) and parts.max() >= overlap and not taken[parts.argmax()]:
            right[index] = taken[parts.argmax()] = True
    return right
