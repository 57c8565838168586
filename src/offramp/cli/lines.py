"""Predictions as csv."""

from typing import Any

import numpy as np

from offramp.bundle import Bundle
from offramp.types import BACKBONE


class Lines:
    """One line for each input, in their order, though answers come in another."""

    def __init__(self, live: Bundle, writer: Any) -> None:
        self._exits = [*(f"{exit_.point}/{exit_.head}" for exit_ in live.manifest.exits), BACKBONE]
        self._task, self._writer = live.task, writer
        self._early: dict[int, list[object]] = {}
        self._next = 0
        writer.writerow(["index", "prediction", "exit_index", "exit", "score"])

    def add(self, number: int, output: np.ndarray, exit_index: int, score: float) -> None:
        """Keeps a line until it is its turn."""
        answer = self._task.predict(output[None])[0]
        self._early[number] = [number, answer, exit_index, self._exits[exit_index], f"{score:.6f}"]
        while self._next in self._early:
            self._writer.writerow(self._early.pop(self._next))
            self._next += 1
