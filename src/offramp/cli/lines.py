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
        self._early[number] = [number, written(answer), exit_index, self._exits[exit_index], f"{score:.6f}"]
        while self._next in self._early:
            self._writer.writerow(self._early.pop(self._next))
            self._next += 1


def written(answer: Any) -> str:
    """An answer as a cell: what it consists of side by side, with semicolons, truth as 1 and 0.

    >>> written(np.int64(3)), written(np.array([True, False, True])), written(np.array([0.25, 1e-7], np.float32))
    ('3', '1;0;1', '0.25;1e-07')
    """
    if np.ndim(answer):
        return ";".join(written(part) for part in answer)
    if isinstance(answer, np.floating):
        return f"{answer:.7g}"
    return str(int(answer))
