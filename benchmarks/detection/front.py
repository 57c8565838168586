"""What exits say of an object on labelled pictures, at every operating point, whatever their strategy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from benchmarks.detection.scoring import Presence
from offramp.bundle import Bundle
from offramp.decide.replay import replay
from offramp.deciding import table
from offramp.inputs import call
from offramp.model.modes import frozen
from offramp.model.multi_exit import Recording
from offramp.reading import reader
from offramp.sources import Source
from offramp.tasks.detection import PRESENT, Detection
from offramp.types import ExitTable, OperatingPoint

BATCH = 16


@dataclass(frozen=True, eq=False)
class Figures:
    """Alarms of each exit on labelled pictures.

    Attributes:
        told: whether an exit says that the object is there, the detector's own last.
        detector: whether the detector finds the object at all, among whatever else it finds.
        there: whether it is there, by the labels.
        table: where pictures leave, and what that costs.
        points: the operating points.
    """

    told: Bool[np.ndarray, "exits pictures"]
    detector: Bool[np.ndarray, " pictures"]
    there: Bool[np.ndarray, " pictures"]
    table: ExitTable
    points: tuple[OperatingPoint, ...]

    @property
    def plain(self) -> dict[str, float]:
        """The detector itself."""
        return _alarms(self.detector, self.there)

    def held(self, point: OperatingPoint) -> dict[str, float]:
        """What is told at a point, held against the detector and against the labels."""
        taken = replay(self.table, point.configuration)
        said = self.told[taken.exit_index, np.arange(len(self.there))]
        # a picture that reaches the end has the detector's full result, in which the object may come second
        said = np.where(taken.exit_index == self.table.exits - 1, self.detector, said)
        alike = {f"{name}_to_detector": value for name, value in _alarms(said, self.detector).items()}
        return {**alike, **{f"{name}_to_labels": value for name, value in _alarms(said, self.there).items()}}

    def cost(self, point: OperatingPoint) -> float:
        """The mean cost on these pictures, as a share of the detector's."""
        return float(replay(self.table, point.configuration).cost.mean()) / self.table.cost.backbone


def figures(bundle: Bundle, pictures: Source, there: Bool[np.ndarray, " pictures"], label: int) -> Figures:
    """The figures of a bundle for the object of that number."""
    task, live = bundle.task, bundle.live
    assert isinstance(task, Detection)
    asked = reader(Detection(PRESENT, label, task.at))
    outputs, found = [], []
    for some in np.array_split(np.arange(len(pictures)), max(len(pictures) // BATCH, 1)):
        inputs = pictures.inputs(some)
        with torch.no_grad(), frozen(live.multi_exit.backbone.model):
            outputs.append(live.multi_exit.outputs(inputs, live.logits_of).numpy())
            found.append(asked(call(live.multi_exit.backbone.model, inputs)).argmax(dim=1).numpy() == 1)
    recording = Recording(np.concatenate(outputs, axis=1), "coco", live.multi_exit.together)
    named = np.stack([task.predict(recording.said(e, live.calibrators)) for e in range(len(recording.outputs))])
    told = named == (1 if task.strategy == PRESENT else label + 1)
    known = table(recording, task, live.gate, live.calibrators, bundle.cost)
    return Figures(told, np.concatenate(found), there, known, bundle.points)


def at_cost(found: Figures, cost: float) -> dict[str, Any]:
    """The operating point that costs at most so much, and the most among these, on the same pictures."""
    inside: Sequence[OperatingPoint] = [point for point in found.points if found.cost(point) <= cost]
    if not inside:
        return {}
    best = max(inside, key=found.cost)
    return {"cost": found.cost(best), **found.held(best)}


def _alarms(
    said: Float[np.ndarray, " pictures"] | Bool[np.ndarray, " pictures"], there: np.ndarray
) -> dict[str, float]:
    scored = Presence.of(said.astype(bool), there)
    return {"accuracy": float((said == there).mean()), "f1": scored.f1, "misses": 1.0 - scored.recall}
