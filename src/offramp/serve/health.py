"""Whether the model works: not where it failed on everything for a while."""

from collections.abc import Sequence

from offramp.serve.errors import ModelFailedError
from offramp.serve.sample import Answer, Row, Sample

FAILURES = 5
"""Batches in a row on which the model failed altogether before it counts as broken."""


class Health:
    """Written in the thread of the batches alone.

    One bad request among good ones is no failure of a batch: it fails alone, and the others are answered. Whoever
    sends nothing but what the model fails on may make it look broken; therefore the first input that was ever answered
    is kept, to try again with (`Endpoint.try_again`).

    Attributes:
        row: a sample that was answered; None before the first.
    """

    def __init__(self, most: int = FAILURES) -> None:
        self._most, self._failures = most, 0
        self.row: Row | None = None

    @property
    def good(self) -> bool:
        """Whether the model answered lately, or has not failed often enough since."""
        return self._failures < self._most

    def saw(self, batch: Sequence[Sample]) -> None:
        """A batch is done."""
        answered = next((sample for sample in batch if isinstance(sample.answer, Answer)), None)
        if answered is not None:
            self._failures = 0
            if self.row is None:
                self.row = {name: one.copy() for name, one in answered.row.items()}
        elif any(isinstance(sample.answer, ModelFailedError) for sample in batch):
            self._failures += 1
