import pytest

from offramp.calibrate.calibrator import Calibrator
from offramp.calibrate.identity import Identity
from offramp.calibrate.temperature import Temperature
from offramp.testing.calibrators import CalibratorSuite


class TestTemperature(CalibratorSuite):
    @pytest.fixture
    def calibrator(self) -> Calibrator:
        return Temperature()


class TestIdentity(CalibratorSuite):
    @pytest.fixture
    def calibrator(self) -> Calibrator:
        return Identity()
