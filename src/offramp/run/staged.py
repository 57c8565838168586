"""Exported stages on a runtime that knows no torch: NumPy in, NumPy out."""

from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from offramp.arrays import Int
from offramp.errors import DataError
from offramp.run.buffers import Buffers
from offramp.run.executor import Said, Say
from offramp.run.pieces import Arrays, Pieces
from offramp.run.routing import StageFile
from offramp.run.stepwise import State, Stepwise

MASK = "attention_mask"
"""The input that says which tokens are no padding; heads read it, too."""


class Staged(Stepwise):
    """The stages of one cut, and the uncut model. A back end says how a stage is loaded."""

    def __init__(self, stages: Sequence[StageFile], uncut: StageFile) -> None:
        self._stages, self._uncut = tuple(stages), uncut
        self._run = [self.load(stage) for stage in self._stages]
        self._whole = self.load(uncut)
        self._buffers = Buffers()

    @abstractmethod
    def load(self, stage: StageFile) -> Pieces:
        """The stage, ready to run."""

    @property
    def stops(self) -> int:
        """How many places with exits there are."""
        return len(self._stages) - 1

    def samples(self, inputs: Any) -> int:
        """The size of a batch.

        Raises:
            DataError: if the inputs disagree about it, are empty, or are not those of the model.
        """
        sizes = {len(array) if array.ndim else 0 for array in self._arrays(inputs)}
        if len(sizes) != 1 or 0 in sizes:
            raise DataError(f"expected arrays with one common batch size of at least 1, got sizes {sorted(sizes)}")
        return sizes.pop()

    def start(self, inputs: Any) -> State:
        """The inputs in order, and the mask once more where heads read it.

        Raises:
            DataError: if the model cannot take them.
        """
        found = self._checked(inputs)
        names = self._uncut.inputs
        return found if len(self._stages[0].inputs) == len(names) else [*found, found[names.index(MASK)]]

    def advance(self, place: int, state: State) -> tuple[State, Say]:
        """Runs the stage before a stop."""
        stage = self._stages[place]
        found = self._run[place](state)
        carried = len(stage.state)
        return found[:carried], _say(stage, found[carried:])

    def end(self, state: State) -> Said:
        """Runs the last stage."""
        return _copied(self._stages[-1], self._run[-1](state))

    def whole(self, inputs: Any) -> Said:
        """The backbone's own answer, uncut.

        Raises:
            DataError: if the model cannot take the inputs.
        """
        return _copied(self._uncut, self._whole(self._checked(inputs)))

    def take(self, state: State, rows: Int[np.ndarray, " staying"], place: int | None = None) -> State:
        """These rows of a state."""
        if place is None:
            return [array[rows] for array in state]
        found = []
        for index, array in enumerate(state):
            into = self._buffers.array((place, index), (len(rows), *array.shape[1:]), array.dtype)
            found.append(np.take(array, rows, axis=0, out=into, mode="clip"))  # other modes copy once more
        return found

    def kind(self, state: State) -> Hashable:
        """Shapes without batch axis."""
        return tuple(array.shape[1:] for array in state)

    def join(self, states: Sequence[State]) -> State:
        """Several states as one."""
        return [np.concatenate(arrays) for arrays in zip(*states, strict=True)]

    def _checked(self, inputs: Any) -> list[np.ndarray]:
        found = self._arrays(inputs)
        self._whole.check(found)
        return found

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


def _copied(stage: StageFile, found: Arrays) -> Said:
    """The last answer, which the caller may keep."""
    logits, score, *full = (array.copy() for array in found)
    return Said(logits, score, dict(zip(stage.full, full, strict=True)))


def _say(stage: StageFile, answers: Arrays) -> Say:
    def say(exit_: int) -> Said:
        index = stage.exits.index(exit_)
        return Said(answers[2 * index], answers[2 * index + 1])

    return say
