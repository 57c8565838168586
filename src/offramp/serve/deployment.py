"""What is served: a model with its operating points. Free of torch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from offramp.errors import UnknownNameError
from offramp.run.stage_seconds import ExecutorFor
from offramp.serve.categories import refuse_unknown
from offramp.serve.errors import BadRequestError
from offramp.serve.tensors import cast
from offramp.tasks.task import Task
from offramp.tokeniser import Tokeniser
from offramp.types import Configuration


@dataclass(frozen=True)
class InputSpec:
    """An input of the model, or what it returns besides logits.

    Attributes:
        name: as clients name it.
        dtype: NumPy type that the model takes.
        shape: without the batch axis; -1 stands for any size.
        below: its numbers are from 0 to below this, such as the size of a vocabulary; None: it is not known.
        most: what -1 stands for is at most this; None: it is not known.
        sizes: of ids of categories, how many values each field has; empty where that is not known.
        least: the smallest id, -1 where that stands for no value.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    below: int | None = field(default=None, compare=False)  # exports of earlier versions do not say it
    most: int | None = field(default=None, compare=False)
    sizes: tuple[int, ...] = field(default=(), compare=False)
    least: int = field(default=0, compare=False)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "InputSpec":
        """From what `exporting.inputs_of` says."""
        return cls(
            str(told["name"]),
            np.dtype(told["dtype"]),
            tuple(told["shape"]),
            told.get("below"),
            told.get("most"),
            tuple(told.get("sizes", ())),
            told.get("least", 0),
        )

    def fitted(self, tensor: np.ndarray) -> np.ndarray:
        """A tensor of a request, the batch first, in the model's own type.

        Raises:
            BadRequestError: if the model cannot take it.
        """
        sizes = list(zip(self.shape, tensor.shape[1:], strict=False))
        if tensor.ndim - 1 != len(self.shape) or any(size not in (-1, got) for size, got in sizes):
            expected = [-1, *self.shape]
            raise BadRequestError(f"expected shape {expected} for input {self.name!r}, got {list(tensor.shape)}")
        long = max((got for size, got in sizes if size == -1), default=0)
        if self.most is not None and long > self.most:
            raise BadRequestError(f"expected at most {self.most} in a row of input {self.name!r}, got {long}; cut them")
        found = cast(tensor, self.dtype, self.name)
        if self.below is not None and (wrong := (found < 0) | (found >= self.below)).any():
            number = int(found[wrong][0])
            sample = int(wrong.reshape(len(found), -1).any(axis=1).argmax())
            raise BadRequestError(
                f"expected numbers from 0 to {self.below - 1} in input {self.name!r}, got {number} in sample {sample}"
            )
        refuse_unknown(found, self.sizes, self.least, self.name)
        return found


@dataclass(frozen=True)
class ServedPoint:
    """An operating point.

    Attributes:
        configuration: which exits are on, and their thresholds.
        cost: mean share of the backbone's multiply-accumulates when it was chosen; None where it is not known.
        leaving: that share for each exit, the backbone's own last; None where it is not known.
        bound: certified upper limit of the risk; None where nothing was certified.
        risk: of what; an alarm is raised for `disagreement` alone, since no other can be seen without labels.
        loss: the risk measured when it was chosen; None where it is not known.
    """

    configuration: Configuration
    cost: float | None = None
    bound: float | None = None
    risk: str | None = None
    leaving: tuple[float, ...] | None = None
    loss: float | None = None

    @property
    def promise(self) -> float | None:
        """The certified disagreement with the backbone; 0 where it always answers, None where there is none."""
        if not any(self.configuration.enabled):
            return 0.0
        return self.bound if self.risk == "disagreement" else None


@dataclass(frozen=True, eq=False)
class Deployment:
    """A model that can be served.

    Attributes:
        name: of the model.
        inputs: what it takes.
        classes: how many numbers it gives for each sample: logits of classes, or what else the task has.
        task: what these mean.
        exits: names of the exits, the backbone's own last.
        point_of: for each exit but the last, the number of its place.
        points: operating points by name, from the most accurate to the cheapest.
        aliases: other names of points.
        active: the point to begin with.
        rule: how scores decide, by name.
        executor_for: makes the executor for a set of enabled exits.
        arranged: makes of arrays by name what executors take.
        version: of the model, as clients see it.
        full: what else the model returns of samples that reach its end.
        tokeniser: makes its inputs of texts; None: it takes none.
    """

    name: str
    inputs: tuple[InputSpec, ...]
    classes: int
    task: Task
    exits: tuple[str, ...]
    point_of: tuple[int, ...]
    points: Mapping[str, ServedPoint]
    aliases: Mapping[str, str]
    active: str
    rule: str
    executor_for: ExecutorFor
    arranged: Callable[[Mapping[str, np.ndarray]], Any]
    version: str = "1"
    full: tuple[InputSpec, ...] = ()
    tokeniser: Tokeniser | None = None

    def point(self, name: str) -> tuple[str, ServedPoint]:
        """The point of that name or alias, with its own name.

        Raises:
            UnknownNameError: listing the names there are.
        """
        own = self.aliases.get(name, name)
        if own not in self.points:
            raise UnknownNameError.among("operating point", name[:60], [*self.points, *self.aliases])
        return own, self.points[own]

    @cached_property
    def told(self) -> dict[str, np.ndarray]:
        """What the task makes of an output, of one of zeros: for the names, types and shapes."""
        return self.task.told(np.zeros((1, self.classes), np.float32))

    @property
    def enabled(self) -> tuple[bool, ...]:
        """The exits that any operating point uses."""
        return any_of([point.configuration.enabled for point in self.points.values()])


def any_of(sets: Sequence[tuple[bool, ...]]) -> tuple[bool, ...]:
    """Which exits are in any of the sets.

    >>> any_of([(True, False, False), (False, False, True)])
    (True, False, True)
    """
    return tuple(any(on) for on in zip(*sets, strict=True))
