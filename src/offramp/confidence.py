"""What every exit says of some samples: how sure it is, and what it is held against."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int, Shaped

from offramp.calibrate.calibrator import Calibrator
from offramp.decide.replay import replay
from offramp.deciding import loss_of, losses, table
from offramp.errors import InputError
from offramp.gates.gate import Gate
from offramp.model.multi_exit import Recording
from offramp.sources import Labels
from offramp.tasks.task import Task
from offramp.types import Configuration, CostProfile, ExitTable


@dataclass(frozen=True, eq=False)
class Said:
    """What all exits say on some samples.

    Attributes:
        task: what it means.
        output: calibrated, the backbone's own last.
        probability: of classes; None where the task has none of which one is right.
        reference: output of the user's model.
        target: labels where they are known, else the answer of the user's model.
        against: what the target is, `"labels"` or `"backbone"`.
        table: scores and disagreement, which say who leaves where.
        error: where an exit's answer is not the label; None without labels.
        original_error: the same of the user's model, where the backbone is a trained copy of it.
    """

    task: Task
    output: Float[np.ndarray, "exits samples outputs"]
    probability: Float[np.ndarray, "exits samples classes"] | None
    reference: Float[np.ndarray, "samples outputs"]
    target: Shaped[np.ndarray, "samples ..."]
    against: str
    table: ExitTable
    error: Float[np.ndarray, "exits samples"] | None
    original_error: Float[np.ndarray, " samples"] | None = None

    @property
    def of_classes(self) -> Float[np.ndarray, "exits samples classes"]:
        """The probabilities.

        Raises:
            InputError: if the task has no classes of which one is right.
        """
        if self.probability is None:
            raise InputError(f"expected a task with one right class for each sample, got {self.task.name}")
        return self.probability

    @property
    def plain_error(self) -> Float[np.ndarray, " samples"] | None:
        """Where the answer of the user's model is not the label; None without labels."""
        if self.error is None or self.original_error is not None:
            return self.original_error
        backbone: np.ndarray = self.error[-1]
        return backbone

    @classmethod
    def of(
        cls,
        recording: Recording,
        task: Task,
        gate: Gate,
        calibrators: Sequence[Calibrator],
        cost: CostProfile,
        labels: Labels | None = None,
    ) -> "Said":
        """What is said in a recording.

        Raises:
            DataError: if a label is no class of the model.
        """
        error = None if labels is None else losses(recording, task, calibrators, labels)
        output = np.stack([recording.said(exit_, calibrators) for exit_ in range(len(recording.outputs))])
        of_classes = [one for one in map(task.probabilities, output) if one is not None]
        probability = np.stack(of_classes).astype(np.float32) if of_classes else None
        target = task.predict(recording.reference) if labels is None else labels
        against = "backbone" if labels is None else "labels"
        original = recording.original
        known = None if labels is None or original is None else loss_of(task, original, original, labels)
        found = table(recording, task, gate, calibrators, cost)
        return cls(task, output, probability, recording.reference, target, against, found, error, known)

    def exit_index(self, configuration: Configuration) -> Int[np.ndarray, " samples"]:
        """Where each sample leaves."""
        return replay(self.table, configuration).exit_index

    def error_at(self, exit_index: Int[np.ndarray, " samples"]) -> Float[np.ndarray, " samples"] | None:
        """How far from the label what is answered at these exits is; None without labels."""
        if self.error is None:
            return None
        found: np.ndarray = self.error[exit_index, np.arange(len(exit_index))]
        return found

    def only(self, rows: Int[np.ndarray, " rows"]) -> "Said":
        """The same of some of the samples."""
        reference, original = (
            None if one is None else one[rows] for one in (self.table.reference, self.original_error)
        )
        part = replace(self.table, score=self.table.score[:, rows], loss=self.table.loss[:, rows], reference=reference)
        error = None if self.error is None else self.error[:, rows]
        probability = None if self.probability is None else self.probability[:, rows]
        return replace(
            self,
            output=self.output[:, rows],
            probability=probability,
            reference=self.reference[rows],
            target=self.target[rows],
            table=part,
            error=error,
            original_error=original,
        )

    def measured(self, exit_index: Int[np.ndarray, " samples"] | None) -> dict[str, float]:
        """The task's own figures of what is answered at these exits; None: of what the user's model answers."""
        labels = self.target if self.against == "labels" else None
        said = self.reference if exit_index is None else self.output[exit_index, np.arange(len(exit_index))]
        return self.task.measures(said, self.reference, labels)
