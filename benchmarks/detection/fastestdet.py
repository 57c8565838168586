"""FastestDet with its published weights, as a factory for the command line, and what its answers mean.

The network is that of `benchmarks.zoo.fastest_det`; its weights (BSD-3) are the file fastestdet_coco.pth.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch.nn import functional as F

from benchmarks.detection.nms import kept
from benchmarks.zoo import fastest_det

CLASSES = 80
"""Those of COCO that have boxes."""

OBJECT = 0.6
"""The share of the objectness in a cell's score, as an exponent; the class has the rest of one."""


class FastestDet(fastest_det.FastestDet):
    """The network, which was trained on BGR, for RGB, as all preprocessing here gives."""

    def __init__(self) -> None:
        super().__init__(CLASSES)
        self.preprocess = {"size": (352, 352)}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """RGB pictures (B, 3, 352, 352) from 0 to 1 to (B, 85, 22, 22), which `decode` reads."""
        return super().forward(x.flip(1))


def fastestdet() -> FastestDet:
    """The network, untrained."""
    return FastestDet()


def decode(
    raw: Float[torch.Tensor, "B 85 H W"],
) -> tuple[Float[torch.Tensor, "B cells 4"], Float[torch.Tensor, "B cells"], Float[torch.Tensor, "B cells 80"]]:
    """Box, score and class probabilities of each cell, row by row.

    Boxes are xyxy as fractions of width and height, and may lie partly outside. The score is that of the likeliest
    class: its probability and the objectness, weighed geometrically.
    """
    rows, columns = raw.shape[2:]
    cells = raw.flatten(2).transpose(1, 2)
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    corner = torch.stack((x, y), -1).reshape(1, -1, 2).to(raw)
    centre = (cells[..., 1:3].tanh() + corner) / torch.tensor([columns, rows]).to(raw)
    half = cells[..., 3:5].sigmoid() / 2
    classes = cells[..., 5:]
    scores = cells[..., 0] ** OBJECT * classes.amax(-1) ** (1 - OBJECT)
    return torch.cat((centre - half, centre + half), -1), scores, classes


def presence(raw: Float[torch.Tensor, "B 85 H W"]) -> Float[torch.Tensor, "B 80"]:
    """The best score of a detection of each class in each picture, 0 where no cell is of that class."""
    _, scores, classes = decode(raw)
    likeliest = F.one_hot(classes.argmax(-1), CLASSES)
    return (scores[..., None] * likeliest).amax(1)


@dataclass(frozen=True, eq=False)
class Detections:
    """What was found in one picture, best first.

    Attributes:
        boxes: xyxy as fractions of width and height.
        scores: from 0 to 1.
        labels: classes from 0.
    """

    boxes: Float[np.ndarray, "found 4"]
    scores: Float[np.ndarray, " found"]
    labels: Int[np.ndarray, " found"]


def detections(raw: Float[np.ndarray, "85 H W"], *, least: float = 0.3, overlap: float = 0.45) -> Detections:
    """The objects in one picture.

    Args:
        raw: the network's answer.
        least: scores below are nothing.
        overlap: of two boxes of one class that share more than this of their area the better one is kept.
    """
    boxes, scores, classes = (part[0].numpy() for part in decode(torch.from_numpy(raw)[None]))
    labels, there = classes.argmax(-1), scores >= least
    found = [
        index[kept(boxes[index], scores[index], overlap)]
        for index in (np.flatnonzero(there & (labels == label)) for label in np.unique(labels[there]))
    ]
    order = np.concatenate(found) if found else np.zeros(0, np.int64)
    order = order[np.argsort(-scores[order], kind="stable")]
    return Detections(boxes[order].clip(0, 1), scores[order], labels[order])
