"""Exported stages on a runtime that knows no torch: NumPy in, NumPy out."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from offramp.errors import DataError
from offramp.run.executor import Said, Say, Stop
from offramp.run.routing import StageFile

MASK = "attention_mask"
"""The input that says which tokens are no padding; heads read it, too."""

Arrays = Sequence[np.ndarray]
RunStage = Callable[[Arrays], Arrays]
"""The outputs of a stage, in the order of its `state`, then logits and score of each exit."""


class Staged(ABC):
    """The stages of one cut, and the uncut model. A back end says how a stage is loaded."""

    def __init__(self, stages: Sequence[StageFile], uncut: StageFile) -> None:
        self._stages, self._uncut = tuple(stages), uncut
        self._run = [self.load(stage) for stage in (*self._stages, uncut)]

    @abstractmethod
    def load(self, stage: StageFile) -> RunStage:
        """The stage, ready to run."""

    def samples(self, inputs: Any) -> int:
        """The size of a batch.

        Raises:
            DataError: if the inputs disagree about it, are empty, or are not those of the model.
        """
        sizes = {len(array) if array.ndim else 0 for array in self._arrays(inputs)}
        if len(sizes) != 1 or 0 in sizes:
            raise DataError(f"expected arrays with one common batch size of at least 1, got sizes {sorted(sizes)}")
        return sizes.pop()

    def drive(self, inputs: Any, stop: Stop) -> Said | None:
        """The backbone's answer to those who are left at the end."""
        state: Arrays = self._first(inputs)
        for place, stage in enumerate(self._stages):
            found = self._run[place](state)
            carried = len(stage.state)
            if not carried:
                return Said(found[0], found[1])
            rows = stop(place, _say(stage, found[carried:]))
            if rows is not None and len(rows) == 0:
                return None
            state = found[:carried] if rows is None else [array.take(rows, axis=0) for array in found[:carried]]
        raise AssertionError("the last stage carries nothing on")

    def whole(self, inputs: Any) -> Said:
        """The backbone's own answer, uncut."""
        logits, score = self._run[-1](self._arrays(inputs))
        return Said(logits, score)

    def _first(self, inputs: Any) -> list[np.ndarray]:
        """The state of the first stage: the inputs, and the mask once more where heads read it."""
        found = self._arrays(inputs)
        names = self._uncut.inputs
        return found if len(self._stages[0].inputs) == len(names) else [*found, found[names.index(MASK)]]

    def _arrays(self, inputs: Any) -> list[np.ndarray]:
        """The inputs in the order in which the model takes them."""
        names = self._uncut.inputs
        if isinstance(inputs, Mapping):
            missing = [name for name in names if name not in inputs]
            if missing or len(inputs) != len(names):
                raise DataError(f"expected inputs {', '.join(names)}, got {', '.join(map(str, inputs))}")
            found = [np.asarray(inputs[name]) for name in names]
        else:
            found = [np.asarray(one) for one in (inputs if isinstance(inputs, tuple) else (inputs,))]
            if len(found) != len(names):
                raise DataError(f"expected {len(names)} inputs ({', '.join(names)}), got {len(found)}")
        return found


def _say(stage: StageFile, answers: Arrays) -> Say:
    def say(exit_: int) -> Said:
        index = stage.exits.index(exit_)
        return Said(answers[2 * index], answers[2 * index + 1])

    return say
