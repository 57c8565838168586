"""What detections say about a whole picture, as logits.

A detector returns one of these:

* a dict of tensors `boxes` (B, N, 4), `scores` (B, N), and `labels` (B, N), or `classes` (B, N, C), the probabilities
  of the classes of each detection;
* for each picture a dict with `boxes`, `scores` and `labels`, and perhaps `classes` and `masks` (torchvision's way);
* `logits` (B, N, C + 1), the last class being none, and `pred_boxes` (B, N, 4) (the way of DETR in transformers).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from offramp.errors import CaptureError
from offramp.tasks.detection import PRESENT, Detection

EDGE = 1e-4
"""Probabilities are kept so far from 0 and 1."""

EXPECTED = "expected detections (boxes, scores, and labels or classes, in a dict or one for each picture)"


@dataclass(frozen=True)
class Presence:
    """Reads logits off detections, `(B, 2)` with `present`, else `(B, 1 + C)`; no object is the first.

    A score is moved on the scale of log odds so that the one from which on it counts becomes 1/2.
    """

    task: Detection

    def __call__(self, output: Any) -> torch.Tensor:
        """The logits.

        Raises:
            CaptureError: if the output holds no detections, or none of such a class.
        """
        found = batched(output)
        scores, classes = found.get("scores"), found.get("classes")
        if scores is None or scores.ndim != 2 or (classes is None and "labels" not in found):
            raise CaptureError(f"{EXPECTED}, got {', '.join(found) or type(output).__name__} in the model's output")
        if self.task.strategy == PRESENT:
            return _present(self._certain(scores), self._named(found))
        if classes is None:
            raise CaptureError(
                f"expected probabilities of all classes (classes) with {self.task.name}, got labels alone; ask for one "
                "class with detection:present:CLASS"
            )
        return _top(self._certain(scores), classes) if self.task.strategy == "top" else self._all(scores, classes)

    def _certain(self, scores: torch.Tensor) -> torch.Tensor:
        """Scores moved so that the one from which on they count becomes 1/2; kept off 0 and 1."""
        moved = torch.logit(scores, EDGE) - math.log(self.task.at / (1.0 - self.task.at))
        return moved.sigmoid().clamp(EDGE, 1.0 - EDGE)

    def _named(self, found: dict[str, torch.Tensor]) -> torch.Tensor:
        """Which detections are of the class that is asked for."""
        label, classes = self.task.label or 0, found.get("classes")
        if "labels" in found:
            return found["labels"] == label
        assert classes is not None
        if label >= classes.shape[2]:
            raise CaptureError(f"expected a class in 0..{classes.shape[2] - 1}, got {self.task.name}")
        return classes.argmax(dim=2) == label

    def _all(self, scores: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """The mean of the classes of all detections that count; none where there are none."""
        counts = (scores >= self.task.at).to(scores.dtype)[..., None]
        number = counts.sum(dim=1)
        mean = (counts * _shares(classes)).sum(dim=1) / number.clamp_min(1.0)
        return torch.cat([(number == 0).to(mean.dtype), mean], dim=1).clamp_min(EDGE).log()


def _present(certain: torch.Tensor, named: torch.Tensor) -> torch.Tensor:
    """The most certain detection of a class; where there is none, no object."""
    empty = certain.new_full((certain.shape[0], 1), EDGE)
    most = torch.cat([torch.where(named, certain, EDGE), empty], dim=1).amax(dim=1, keepdim=True)
    return torch.cat([torch.zeros_like(most), torch.logit(most)], dim=1)


def _top(certain: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """The classes of the most certain detection of all."""
    most, which = certain.max(dim=1, keepdim=True)
    index = which[..., None].expand(-1, 1, classes.shape[2])
    shares = _shares(classes.gather(1, index).squeeze(1))
    return torch.cat([1.0 - most, most * shares], dim=1).clamp_min(EDGE).log()


def _shares(classes: torch.Tensor) -> torch.Tensor:
    """Probabilities that sum to one, of a detector that gives each class its own."""
    return classes / classes.sum(dim=-1, keepdim=True).clamp_min(EDGE)


def batched(output: Any) -> dict[str, torch.Tensor]:
    """Detections as tensors with the batch as first axis; where pictures have differing numbers, filled up with zeros.

    Empty where the output holds none.
    """
    if isinstance(output, list | tuple) and output and all(isinstance(one, dict) for one in output):
        return _padded(output)
    logits, boxes = _entry(output, "logits"), _entry(output, "pred_boxes")
    if isinstance(logits, torch.Tensor) and isinstance(boxes, torch.Tensor) and logits.ndim == 3:
        classes = logits.softmax(dim=2)[..., :-1]
        return {"boxes": boxes, "scores": classes.amax(dim=2), "classes": classes}
    return {name: value for name, value in output.items() if _is_one(value)} if isinstance(output, dict) else {}


def _is_one(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.ndim > 1


def _entry(output: Any, name: str) -> Any:
    return output.get(name) if isinstance(output, dict) else getattr(output, name, None)


def _padded(pictures: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
    names = [name for name, value in pictures[0].items() if isinstance(value, torch.Tensor) and value.ndim > 0]
    pad = torch.nn.utils.rnn.pad_sequence
    return {name: pad([picture[name] for picture in pictures], batch_first=True) for name in names}
