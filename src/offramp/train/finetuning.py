"""A pretrained backbone that goes on learning, with its heads: what a regime of `TRUNK` leaves open."""

from dataclasses import dataclass, field
from pathlib import Path

from offramp.errors import InputError
from offramp.model.augment import Augment
from offramp.model.multi_exit import MultiExit
from offramp.reading import LogitsOf
from offramp.train.optimisers import optimiser
from offramp.train.phase import Length, Phase, TrunkRegime
from offramp.train.trunk import Trunk
from offramp.train.trunk_regimes import trunk_regime

GENTLE = Phase(optimiser=optimiser("AdamW", lr=1e-4, weight_decay=1e-2), head_rate=10.0, clip=1.0)
"""Small steps for what is trained already, ten times larger ones for new heads, and no jumps."""


@dataclass(frozen=True)
class Finetuning:
    """How a pretrained backbone and new heads are trained on the training part.

    Papers train from scratch and for longer, each with settings of its own; these are the same for all regimes, so that
    what differs between them is the regime.

    Attributes:
        epochs: of all phases together, shared evenly.
        least: steps of all phases together at least, since new heads need some also where the training part is small.
        like: loss, optimizer and the rest of each phase; its length is not looked at.
        batch_size: samples of a step.
        held: share of the training part on which the weights to keep are chosen; 0: the last ones are kept.
        augment: random changes of images that keep their labels; None: none. Not mirrored: a letter would be another.
    """

    epochs: int | float = 20
    least: int = 1000
    like: Phase = GENTLE
    batch_size: int = 64
    held: float = 0.1
    augment: Augment | None = field(default_factory=lambda: Augment(flip=False))

    def __post_init__(self) -> None:
        if self.epochs <= 0 or self.least < 1 or self.batch_size < 1 or not 0 <= self.held < 1:
            raise InputError(f"expected epochs, steps and a batch size above 0 and a held share in [0, 1), got {self}")

    def regime(self, name: str, exits: int) -> TrunkRegime:
        """The phases of the regime of that name for so many inner exits.

        >>> [(phase.name, phase.length.epochs) for phase in Finetuning(epochs=8).regime("mixed", 3).phases]
        [('backbone', 4.0), ('all', 4.0)]
        """
        made = trunk_regime(name, exits, self.like)
        count = len(made.phases)
        return made.lasting(*[Length(epochs=self.epochs / count, least=max(1, self.least // count))] * count)

    def trunk(self, name: str, multi_exit: MultiExit, logits_of: LogitsOf, seed: int, checkpoint: Path | None) -> Trunk:
        """The training of a copy of the model with its heads by the regime of that name."""
        fits = self.augment is not None and self.augment.fits(multi_exit.backbone.example)
        return Trunk(
            multi_exit,
            self.regime(name, len(multi_exit.exits)),
            logits_of,
            batch_size=self.batch_size,
            held=self.held,
            augment=self.augment if fits else None,
            seed=seed,
            checkpoint=checkpoint,
        )
