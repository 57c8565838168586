"""What every exit says of some samples: how sure it is, and what it is held against."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from offramp.calibrate.calibrator import Calibrator
from offramp.decide.replay import replay
from offramp.deciding import loss_of, losses, table
from offramp.gates.gate import Gate
from offramp.model.multi_exit import Recording
from offramp.sources import Labels
from offramp.tasks.task import Task
from offramp.types import Configuration, CostProfile, ExitTable

LEAST = np.finfo(np.float32).tiny
"""Smallest probability, so that likelihoods stay finite."""


@dataclass(frozen=True, eq=False)
class Said:
    """Probabilities of all exits on some samples.

    Attributes:
        probability: calibrated, the backbone's own last.
        target: labels where they are known, else the backbone's class.
        against: what the target is, `"labels"` or `"backbone"`.
        table: scores and disagreement, which say who leaves where.
        error: where an exit's answer is not the label; None without labels.
        original_error: the same of the user's model, where the backbone is a trained copy of it.
    """

    probability: Float[np.ndarray, "exits samples classes"]
    target: Int[np.ndarray, " samples"]
    against: str
    table: ExitTable
    error: Float[np.ndarray, "exits samples"] | None
    original_error: Float[np.ndarray, " samples"] | None = None

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
        probability = np.empty(recording.outputs.shape, np.float32)
        for exit_ in range(len(probability)):
            probability[exit_] = softmax(recording.said(exit_, calibrators))
        target = task.predict(recording.reference) if labels is None else labels
        against = "backbone" if labels is None else "labels"
        original = recording.original
        known = None if labels is None or original is None else loss_of(task, original, original, labels)
        return cls(probability, target, against, table(recording, task, gate, calibrators, cost), error, known)

    def exit_index(self, configuration: Configuration) -> Int[np.ndarray, " samples"]:
        """Where each sample leaves."""
        return replay(self.table, configuration).exit_index

    def only(self, rows: Int[np.ndarray, " rows"]) -> "Said":
        """The same of some of the samples."""
        reference, original = (
            None if one is None else one[rows] for one in (self.table.reference, self.original_error)
        )
        part = replace(self.table, score=self.table.score[:, rows], loss=self.table.loss[:, rows], reference=reference)
        error = None if self.error is None else self.error[:, rows]
        return Said(self.probability[:, rows], self.target[rows], self.against, part, error, original)


def softmax(logits: Float[np.ndarray, "samples classes"]) -> Float[np.ndarray, "samples classes"]:
    """Probabilities in double precision, at least `LEAST`.

    Example:
        >>> softmax(np.array([[0.0, 0.0]], np.float32)).tolist()
        [[0.5, 0.5]]
    """
    wide = np.exp((logits - logits.max(axis=1, keepdims=True)).astype(np.float64))
    found: np.ndarray = np.maximum(wide / wide.sum(axis=1, keepdims=True), LEAST)
    return found
