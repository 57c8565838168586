"""How long and how fast a student is taught."""

import math
from dataclasses import dataclass, field

from offramp.errors import UnknownNameError
from offramp.model.pruned import Pruned
from offramp.train.distil import Distil
from offramp.train.regime import Regime
from offramp.types import INPUT

OPTIMIZERS = ("SGD", "AdamW")

WARM_UP = 0.05
"""Share of the steps in which the learning rate rises; it then falls to 0 along a cosine."""


@dataclass(frozen=True)
class Course:
    """How long and how fast a student is taught.

    Attributes:
        seen: rows seen in all, about, at most.
        passes: how often a row is seen at most.
        repeats: how often it is seen, about, where inputs can be augmented: as many views are made as that takes.
        most_macs: multiply-accumulates that it may cost at most, the backbone's over the views counted; 1.5e14 are
            about 20 minutes on two cores that compute in bfloat16.
        batch_size: rows per step.
        optimizer: `SGD`, with Nesterov momentum 0.9, or `AdamW`.
        learning_rate: at its highest.
        weight_decay: on everything but biases and norms.
        regime: the loss; by default a distillation at T = 6.
        half: whether to compute in bfloat16, where the machine is fast at it and the networks bear it.
    """

    seen: int = 1_000_000
    passes: int = 12
    repeats: float = 2.5
    most_macs: float = 1.5e14
    batch_size: int = 128
    optimizer: str = "SGD"
    learning_rate: float = 0.03
    weight_decay: float = 5e-4
    regime: Regime = field(default_factory=lambda: Distil(temperature=6.0))
    half: bool = True

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise UnknownNameError.among("optimizer", self.optimizer, OPTIMIZERS)

    def rate(self, step: int, steps: int) -> float:
        """The learning rate at a step."""
        share = step / max(steps, 1)
        if share < WARM_UP:
            return self.learning_rate * (share + 1 / max(steps, 1)) / WARM_UP
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (share - WARM_UP) / (1 - WARM_UP)))


def course_for(student: Pruned) -> Course:
    """The course for a network of this kind.

    Where batch norms make up for large steps, SGD; elsewhere (transformers, ConvNeXt) AdamW at a low
    one, fewer rows and smaller batches, since such a network stays near the weights that it starts from. A branch,
    which the recipe `offramp` has, may cost two fifths of what a student at the input may.
    """
    if student.batch_norms:
        return Course() if student.start == INPUT else Course(seen=510_000, most_macs=6e13)
    macs = 1.5e14 if student.start == INPUT else 6e13
    return Course(
        seen=30_000,
        most_macs=macs,
        batch_size=64,
        optimizer="AdamW",
        learning_rate=3e-4,
        weight_decay=0.01,
        regime=Distil(temperature=3.0),
    )
