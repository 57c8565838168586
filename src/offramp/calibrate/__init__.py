"""Calibrators: they make the scores of different exits mean the same."""

from collections.abc import Callable

from offramp.calibrate.calibrator import Calibrator
from offramp.calibrate.identity import Identity
from offramp.calibrate.temperature import Temperature

NAMES: dict[str, Callable[[], Calibrator]] = {"none": Identity, "temperature": Temperature}
"""Calibrators by the name that a command line or a manifest uses."""
