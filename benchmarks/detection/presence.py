"""FastestDet as a model that returns detections, for the task detection."""

import torch

from benchmarks.detection.fastestdet import FastestDet, decode


class Detector(FastestDet):
    """The network with its answer decoded: one detection for each of 484 cells, most of them next to certainly none."""

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:  # type: ignore[override]
        """RGB pictures (B, 3, 352, 352) from 0 to 1 to `boxes` (B, 484, 4), `scores` (B, 484) and `classes`."""
        boxes, scores, classes = decode(super().forward(x))
        return {"boxes": boxes, "scores": scores, "classes": classes}


def detector() -> Detector:
    """The network, untrained."""
    return Detector()
