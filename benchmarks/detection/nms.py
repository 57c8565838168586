"""Which of overlapping boxes are kept: the best ones."""

import numpy as np
from jaxtyping import Float, Int


def overlaps(box: Float[np.ndarray, "4"], boxes: Float[np.ndarray, "N 4"]) -> Float[np.ndarray, " N"]:
    """Area shared with `box` over the area of both together, for each of `boxes` (xyxy, any unit)."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    shared = (high - low).clip(min=0).prod(axis=1)
    both = (box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) - shared
    part: np.ndarray = np.divide(shared, both, out=np.zeros_like(shared), where=both > 0)
    return part


def kept(boxes: Float[np.ndarray, "N 4"], scores: Float[np.ndarray, " N"], overlap: float) -> Int[np.ndarray, " kept"]:
    """Indices of the boxes (xyxy) that no better one overlaps by more than `overlap`, best first.

    A box that has gone itself takes no other with it; of equal scores the first is better.
    """
    waiting = np.argsort(-scores, kind="stable")
    found = []
    while len(waiting):
        best, waiting = waiting[0], waiting[1:]
        found.append(best)
        waiting = waiting[overlaps(boxes[best], boxes[waiting]) <= overlap]
    return np.array(found, np.int64)
