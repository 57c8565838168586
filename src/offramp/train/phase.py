"""A training regime as data: phases, each with what learns, how long, and from which losses."""

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from offramp.errors import InputError
from offramp.train.exit_losses import ExitLoss, FromLabels
from offramp.train.exit_weights import ExitWeights, Mean
from offramp.train.optimisers import MakeOptimiser, MakeSchedule, optimiser, schedule
from offramp.train.parts import ALL, Part

Norms = Literal["batch", "kept"]
"""What batch norms that learn go by: each batch, moving their running statistics; or those, which stay as they are."""

Precision = Literal["float32", "bfloat16"]
"""In what products and convolutions are computed; weights and losses are float32 always."""


@dataclass(frozen=True)
class Length:
    """How long a phase is, in epochs or in steps of the optimizer; in epochs at least so many steps.

    >>> Length(epochs=2).steps_of(samples=1000, batch_size=128), Length(steps=5).steps_of(1000, 128)
    (14, 5)
    >>> Length(epochs=2, least=100).steps_of(samples=1000, batch_size=128)
    100
    """

    epochs: int | float | None = None
    steps: int | None = None
    least: int = 1

    def __post_init__(self) -> None:
        given = [number for number in (self.epochs, self.steps) if number is not None]
        if len(given) != 1 or given[0] <= 0 or self.least < 1:
            got = f"epochs={self.epochs}, steps={self.steps}, least={self.least}"
            raise InputError(f"expected either epochs or steps, above 0, got {got}")

    def steps_of(self, samples: int, batch_size: int) -> int:
        """The number of steps; an epoch leaves out the samples that do not fill a batch."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        return max(self.least, math.floor(self.epochs * max(1, samples // batch_size)))


@dataclass(frozen=True)
class Phase:
    """One stretch of training.

    Attributes:
        name: how it is called in messages and reports.
        learns: what learns; all else is frozen: in eval mode, without gradients, its buffers untouched.
        weights: how much each exit's loss counts, by progress.
        loss: what an exit is taught.
        length: how long; early stopping may end it sooner.
        optimiser: makes the optimizer; each phase starts a new one.
        schedule: makes the schedule of the learning rate, stepped every step; None: it stays as it is.
        clip: largest norm of the whole gradient; None: not clipped.
        patience: checks of the held part after which a head that was not better has had its time; the phase ends when
            all have. None: never.
        precision: of products and convolutions while training.
        head_rate: learning rate of the heads as a multiple of the optimizer's, for heads that are new on a backbone
            that is not.
        norms: what batch norms that learn go by; `"kept"` for batches that are small or unlike what comes later.
    """

    name: str = "all"
    learns: Part = ALL
    weights: ExitWeights = field(default_factory=Mean)
    loss: ExitLoss = field(default_factory=FromLabels)
    length: Length = field(default_factory=lambda: Length(epochs=20))
    optimiser: MakeOptimiser = field(default_factory=lambda: optimiser("AdamW", lr=1e-3, weight_decay=1e-2))
    schedule: MakeSchedule | None = field(default_factory=lambda: schedule("CosineAnnealingLR"))
    clip: float | None = None
    patience: int | None = None
    precision: Precision = "float32"
    head_rate: float = 1.0
    norms: Norms = "batch"

    def __post_init__(self) -> None:
        if self.clip is not None and not self.clip > 0:
            raise InputError(f"expected a largest gradient norm above 0, got {self.clip}; None means not clipped")
        if self.patience is not None and self.patience < 1:
            raise InputError(f"expected a patience of at least one check, got {self.patience}; None means no stopping")
        if not self.head_rate > 0 or self.norms not in ("batch", "kept"):
            raise InputError(
                f"expected a head rate above 0 and norms batch or kept, got {self.head_rate} and {self.norms!r}"
            )
        if self.precision not in ("float32", "bfloat16"):
            raise InputError(f"expected the precision float32 or bfloat16, got {self.precision!r}")


@dataclass(frozen=True)
class TrunkRegime:
    """Phases, one after the other.

    Attributes:
        phases: at least one.
        source: where the regime comes from.
    """

    phases: tuple[Phase, ...]
    source: str = ""

    def __post_init__(self) -> None:
        if not self.phases:
            raise InputError("expected at least one phase, got none; a regime that is done needs no training")

    @property
    def needs_labels(self) -> bool:
        """Whether some phase reads labels."""
        return any(phase.loss.needs_labels for phase in self.phases)

    @property
    def needs_original(self) -> bool:
        """Whether some phase asks the user's model."""
        return any(phase.loss.needs_original for phase in self.phases)

    def done(self, phases: int = 1) -> "TrunkRegime":
        """The regime without its first phases: a pretrained model counts as one that has gone through phase 1."""
        return replace(self, phases=self.phases[phases:])

    def lasting(self, *lengths: Length) -> "TrunkRegime":
        """The regime with other lengths, one for each phase."""
        if len(lengths) != len(self.phases):
            raise InputError(f"expected one length per phase, got {len(lengths)} for {len(self.phases)} phases")
        return replace(
            self, phases=tuple(replace(phase, length=one) for phase, one in zip(self.phases, lengths, strict=True))
        )
