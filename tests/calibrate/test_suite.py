import pytest

from offramp.calibrate.calibrator import Calibrator
from offramp.calibrate.identity import Identity
from offramp.calibrate.isotonic import Isotonic
from offramp.calibrate.temperature import Temperature
from offramp.calibrate.vector import Vector
from offramp.testing.calibrators import CalibratorSuite


class TestTemperature(CalibratorSuite):
    @pytest.fixture
    def calibrator(self) -> Calibrator:
        return Temperature()


class TestIdentity(CalibratorSuite):
    @pytest.fixture
    def calibrator(self) -> Calibrator:
        return Identity()


class TestVector(CalibratorSuite):
    @pytest.fixture
    def calibrator(self) -> Calibrator:
        return Vector()


class TestIsotonic(CalibratorSuite):
    @pytest.fixture
    def calibrator(self) -> Calibrator:
        return Isotonic()
