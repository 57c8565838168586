"""How the manifest keeps calibrators."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from offramp.calibrate.calibrator import Calibrator
from offramp.calibrate.identity import Identity
from offramp.calibrate.isotonic import Isotonic
from offramp.calibrate.spread import Spread
from offramp.calibrate.temperature import Temperature
from offramp.calibrate.vector import Vector
from offramp.entry import Entry
from offramp.errors import InputError


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


def calibrator(entry: CalibrationEntry) -> Calibrator:
    """The calibrator of an entry."""
    if isinstance(entry, TemperatureEntry):
        return Temperature(entry.temperature)
    if isinstance(entry, VectorEntry):
        return Vector(entry.scale, entry.bias)
    if isinstance(entry, IsotonicEntry):
        return Isotonic(entry.odds, entry.probability)
    if isinstance(entry, SpreadEntry):
        return Spread(entry.scale)
    return Identity()


def calibration_entry(found: Calibrator) -> CalibrationEntry:
    """A calibrator as the manifest keeps it.

    Raises:
        InputError: if it has no entry.
    """
    if isinstance(found, Identity):
        return IdentityEntry()
    if isinstance(found, Temperature):
        return TemperatureEntry(temperature=found.temperature)
    if isinstance(found, Vector):
        return VectorEntry(scale=found.scale, bias=found.bias)
    if isinstance(found, Isotonic):
        return IsotonicEntry(odds=found.odds, probability=found.probability)
    if isinstance(found, Spread):
        return SpreadEntry(scale=found.scale)
    raise InputError(
        f"expected a calibrator that a manifest can name (none, temperature, vector, isotonic, spread), got {found!r}; "
        "add an entry for it"
    )
