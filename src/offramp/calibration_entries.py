"""How the manifest keeps calibrators."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from offramp.entry import Entry


class IdentityEntry(Entry):
    """Not calibrated; see `calibrate.identity`."""

    kind: Literal["none"] = "none"


class TemperatureEntry(Entry):
    """See `calibrate.temperature`."""

    kind: Literal["temperature"] = "temperature"
    temperature: Annotated[float, Field(gt=0.0)]


class VectorEntry(Entry):
    """See `calibrate.vector`: a scale and a bias per class, or none at all."""

    kind: Literal["vector"] = "vector"
    scale: tuple[Annotated[float, Field(gt=0.0)], ...]
    bias: tuple[float, ...]


class IsotonicEntry(Entry):
    """See `calibrate.isotonic`: knots by rising log odds, or none at all."""

    kind: Literal["isotonic"] = "isotonic"
    odds: tuple[float, ...]
    probability: tuple[Annotated[float, Field(gt=0.0, lt=1.0)], ...]

    @model_validator(mode="after")
    def _rises(self) -> "IsotonicEntry":
        apart = all(left < right for left, right in pairwise(self.odds))
        if len(self.odds) != len(self.probability) or not apart or list(self.probability) != sorted(self.probability):
            raise ValueError("a knot has log odds that rise and a probability that does not fall")
        return self


class SpreadEntry(Entry):
    """See `calibrate.spread`: a factor per value, or none at all."""

    kind: Literal["spread"] = "spread"
    scale: tuple[Annotated[float, Field(gt=0.0)], ...]


CalibrationEntry = Annotated[
    IdentityEntry | TemperatureEntry | VectorEntry | IsotonicEntry | SpreadEntry, Field(discriminator="kind")
]
