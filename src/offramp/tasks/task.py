"""What a task is: what an output means, and how far two outputs are apart. NumPy only.

How the output is found in what a model returns is said by `offramp.reading`, which needs torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from offramp.arrays import Bool, Float, Num
from offramp.errors import InputError


@dataclass(frozen=True)
class Means:
    """What the names in a recipe mean under a task whose outputs are not the logits of classes.

    Attributes:
        task: for messages.
        regime: by the name in the recipe, the regime that does the same for this task.
        gate: likewise.
        calibrator: likewise.
        classes: whether outputs are logits of classes: then all names mean themselves, and copies of the backbone,
            which answer as it does, and heads that hear each other can be heads.
        tolerance: of each value, how far from it an answer may be; none where answers are right or wrong.
        parts: how many parts of one width an output has; the first may have a scale of its own, as values do beside
            the logarithms of their spreads.
    """

    task: str = ""
    regime: Mapping[str, str] = field(default_factory=dict)
    gate: Mapping[str, str] = field(default_factory=dict)
    calibrator: Mapping[str, str] = field(default_factory=dict)
    classes: bool = False
    tolerance: tuple[float, ...] = ()
    parts: int = 1

    def name(self, kind: str, asked: str) -> str:
        """What the name of that kind means here; one that means nothing else may also be given as it is.

        Raises:
            InputError: if it has no meaning for this task.
        """
        known: Mapping[str, str] = getattr(self, kind)
        if asked in known.values():
            return asked
        if asked not in known:
            raise InputError(
                f"expected a recipe for the task {self.task}, whose {kind} is one of {', '.join(known)}; "
                f"got {asked!r}; use the recipe heads-only"
            )
        return known[asked]


CLASSES = Means(classes=True)
"""Recipes are written for classes."""


@runtime_checkable
class Stratified(Protocol):
    """A task that asks for certificates of its own for some of the samples."""

    def strata(self, reference: Float[np.ndarray, "samples outputs"]) -> dict[str, Bool[np.ndarray, " samples"]]:
        """By the name of the risk, which samples it is about, by what the backbone says of them."""
        ...


@runtime_checkable
class Graded(Protocol):
    """A task whose probabilities are used as such, for prices or ranks, and not only the answer that they make likely.

    Where there are no labels, exits are calibrated to the backbone's probabilities. Fitted to its answers, as for
    other tasks, they would say how sure that answer is: an exit that always agrees would say 0 and 1.
    """

    def graded(self, reference: Float[np.ndarray, "samples outputs"]) -> Float[np.ndarray, "samples classes"]:
        """The probabilities that the backbone gives."""
        ...


@runtime_checkable
class Task(Protocol):
    """The meaning of a model's output `(samples, outputs)`, for labels of whatever form the task has.

    Losses are in [0, 1], so that certificates hold.
    """

    @property
    def name(self) -> str:
        """Names the task, with its settings, as the command line and manifests do; `tasks.task` reads it."""
        ...

    @property
    def means(self) -> Means:
        """What the names in a recipe mean under this task."""
        ...

    def predict(self, output: Float[np.ndarray, "... outputs"]) -> Num[np.ndarray, "..."] | Bool[np.ndarray, "..."]:
        """The answer the user sees; what calibrators are fitted to where there are no labels."""
        ...

    def disagreement(
        self,
        outputs: Float[np.ndarray, "exits samples outputs"],
        reference: Float[np.ndarray, "samples outputs"],
    ) -> Float[np.ndarray, "exits samples"]:
        """How far an exit's answer is from the backbone's. Needs no labels."""
        ...

    def error(
        self, outputs: Float[np.ndarray, "exits samples outputs"], labels: Num[np.ndarray, "samples ..."]
    ) -> Float[np.ndarray, "exits samples"]:
        """How far an exit's answer is from the label."""
        ...

    def checked(self, labels: Num[np.ndarray, "samples ..."], outputs: int) -> Num[np.ndarray, "samples ..."]:
        """The labels in the form of this task.

        Raises:
            DataError: if they have none of its forms, or do not fit a model with so many outputs.
        """
        ...

    def probabilities(
        self, output: Float[np.ndarray, "samples outputs"]
    ) -> Float[np.ndarray, "samples classes"] | None:
        """Probabilities of classes of which one is right; None where there are no such classes."""
        ...

    def measures(
        self,
        output: Float[np.ndarray, "samples outputs"],
        reference: Float[np.ndarray, "samples outputs"],
        labels: Num[np.ndarray, "samples ..."] | None,
    ) -> dict[str, float]:
        """The task's own figures of what was answered, by name: held against labels, and against the backbone."""
        ...

    def told(self, output: Float[np.ndarray, "samples outputs"]) -> dict[str, np.ndarray]:
        """What a server answers besides the output itself: tensors by name, each `(samples, ...)`."""
        ...

    def settled(self, reference: Float[np.ndarray, "samples outputs"]) -> "Task":
        """This task with settings that were left open taken from outputs of the backbone; itself if none were."""
        ...
