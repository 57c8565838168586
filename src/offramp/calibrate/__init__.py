"""Calibrators: they make the scores of different exits mean the same."""

from collections.abc import Callable

from offramp.calibrate.calibrator import Calibrator
from offramp.calibrate.each_temperature import EachTemperature
from offramp.calibrate.identity import Identity
from offramp.calibrate.isotonic import Isotonic
from offramp.calibrate.spread import Spread
from offramp.calibrate.temperature import Temperature
from offramp.calibrate.vector import Vector

NAMES: dict[str, Callable[[], Calibrator]] = {
    "none": Identity,
    "temperature": Temperature,
    "vector": Vector,
    "isotonic": Isotonic,
    "each-temperature": EachTemperature,
    "spread": Spread,
}
"""Calibrators by the name that a command line or a manifest uses."""
