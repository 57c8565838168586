"""How closely networks are looked at."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from offramp.errors import InputError

Moved = Literal["all", "backbone", "heads"]
"""Whose parameters a landscape moves."""


@dataclass(frozen=True)
class Settings:
    """What an analysis takes of data, layers and weights.

    Attributes:
        samples: how many are looked at, drawn from the data by the seed.
        batch_size: samples of a batch; gradients are means over batches of this size.
        entries: the most numbers of a feature that are looked at. Ranks are not held down by the number of samples
            where it is below `samples`.
        layers: the most layers at which ranks and information are taken; the exit points in use are always among them.
        noises: standard deviations of the noise for information, as shares of the scale of the features.
        steps: points of a straight line between two networks, ends included.
        grid: points of a side of a landscape or a plane.
        reach: how far a landscape goes along filter-normalised directions; 1 is as far as the weights are long.
        moved: whose parameters a landscape moves.
        seed: of samples, entries and directions.
    """

    samples: int = 512
    batch_size: int = 64
    entries: int = 256
    layers: int = 12
    noises: tuple[float, ...] = (0.2, 0.4, 0.8)
    steps: int = 11
    grid: int = 11
    reach: float = 1.0
    moved: Moved = "all"
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"samples": 2, "batch_size": 1, "entries": 1, "layers": 1, "steps": 3, "grid": 3, "seed": 0}
        for name, number in least.items():
            if getattr(self, name) < number:
                raise InputError(f"expected at least {number} for {name}, got {getattr(self, name)}")
        if not self.noises or not all(0.0 < noise < math.inf for noise in self.noises):
            raise InputError(f"expected noises above 0, got {self.noises}")
        if self.moved not in get_args(Moved):
            raise InputError(f"expected moved to be one of {', '.join(get_args(Moved))}, got {self.moved!r}")
        if not 0.0 < self.reach < math.inf:
            raise InputError(f"expected a reach above 0, got {self.reach}")
