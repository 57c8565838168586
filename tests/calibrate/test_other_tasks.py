"""Calibrators of tasks whose outputs are no logits of classes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from offramp.calibrate.calibrator import Calibrator
from offramp.calibrate.each_temperature import EachTemperature
from offramp.calibrate.spread import RANGE, Spread
from offramp.calibrate.temperature import RANGE as TEMPERATURES
from offramp.calibrate.temperature import Temperature
from offramp.errors import DataError
from offramp.testing.calibrators import CalibratorSuite


class TestEachTemperature(CalibratorSuite):
    @pytest.fixture
    def calibrator(self) -> Calibrator:
        return EachTemperature()

    def case(self, scale: float) -> tuple[np.ndarray, np.ndarray]:
        generator = np.random.default_rng(0)
        logits = generator.normal(size=(400, 4)) * 2.0
        return logits * scale, generator.random(logits.shape) < 1.0 / (1.0 + np.exp(-logits))

    def unlikelihood(self, logits: np.ndarray, target: np.ndarray) -> float:
        wanted = torch.from_numpy(target.astype(np.float64))
        return F.binary_cross_entropy_with_logits(torch.from_numpy(logits), wanted).item()


class TestSpread(CalibratorSuite):
    @pytest.fixture
    def calibrator(self) -> Calibrator:
        return Spread()

    def case(self, scale: float) -> tuple[np.ndarray, np.ndarray]:
        """Two values, sure beyond reason by `scale` or the other way round."""
        generator = np.random.default_rng(0)
        said, log_spread = generator.normal(size=(2, 400, 2))
        target = said + np.exp(log_spread) * np.array([1.0, 2.0]) * generator.normal(size=said.shape)
        return np.hstack([said, log_spread - np.log(scale)]), target

    def unlikelihood(self, logits: np.ndarray, target: np.ndarray) -> float:
        said, log_spread = torch.from_numpy(logits).chunk(2, dim=1)
        return F.gaussian_nll_loss(said, torch.from_numpy(target), (2.0 * log_spread).exp(), eps=1e-12).item()


@given(st.integers(0, 1000), st.floats(0.02, 30.0))
def test_no_temperature_of_a_fine_grid_is_better(seed: int, scale: float) -> None:
    generator, suite = np.random.default_rng(seed), TestEachTemperature()
    logits = generator.normal(size=(30, 3)) * scale
    target = generator.random(logits.shape) < 0.5
    found = EachTemperature().fit(logits, target)
    assert isinstance(found, Temperature)
    best = min(suite.unlikelihood(logits / t, target) for t in np.geomspace(*TEMPERATURES, 150))
    assert suite.unlikelihood(found(logits), target) <= best + 1e-5 * (1.0 + best)


@pytest.mark.parametrize("scale", [0.25, 1.0, 4.0])
def test_recovers_the_scale_of_the_logits(scale: float) -> None:
    generator = np.random.default_rng(1)
    logits = generator.normal(size=(20_000, 3)) * 2.0
    target = generator.random(logits.shape) < 1.0 / (1.0 + np.exp(-logits))
    assert EachTemperature().fit(logits * scale, target).temperature == pytest.approx(scale, rel=0.05)


@pytest.mark.parametrize("scale", [0.01, 1.0, 40.0])
def test_spreads_become_those_of_the_errors(scale: float) -> None:
    suite = TestSpread()
    logits, target = suite.case(scale)
    found = Spread().fit(logits, target)
    assert found.scale == pytest.approx(np.array([1.0, 2.0]) * scale, rel=0.1)
    best = min(suite.unlikelihood(Spread((one, two))(logits), target) for one in GRID * scale for two in GRID * scale)
    assert suite.unlikelihood(found(logits), target) <= best + 1e-9
    np.testing.assert_array_equal(found(logits)[:, :2], logits[:, :2])


GRID = np.geomspace(0.5, 4.0, 60)


def test_an_exit_that_is_always_right_or_hopeless_stays_within_what_numbers_can_say() -> None:
    right = np.array([[1.0, 0.0], [2.0, -200.0], [3.0, 200.0]])
    assert Spread().fit(right, np.array([1.0, 2.0, 3.0])).scale == (RANGE[0],)
    assert Spread().fit(right, np.array([1.0, 9.0, 3.0])).scale == (RANGE[1],)


def test_targets_of_one_value_may_be_a_column_or_not() -> None:
    logits, target = np.array([[0.0, 0.0], [0.0, 0.0]]), np.array([3.0, -3.0])
    assert Spread().fit(logits, target) == Spread().fit(logits, target[:, None])


@pytest.mark.parametrize(
    ("logits", "target", "message"),
    [
        ([[0.0, 0.0]], [[0.0, 1.0]], "expected finite outputs and 1 targets"),
        (np.zeros((0, 2)), [], "expected finite outputs and 1 targets"),
        ([[0.0, np.nan]], [0.0], "expected finite outputs"),
        ([[0.0, 0.0]], [np.inf], "expected finite targets"),
    ],
)
def test_spreads_that_cannot_be_fitted_are_refused(logits: object, target: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Spread().fit(np.array(logits), np.array(target))


@pytest.mark.parametrize(
    ("logits", "target", "message"),
    [
        ([[0.0, 0.0]], [[0.0]], "expected finite logits and a target for each of them"),
        (np.zeros((0, 2)), np.zeros((0, 2)), "expected finite logits"),
        ([[0.0, np.nan]], [[0, 1]], "expected finite logits"),
        ([[0.0, 0.0]], [[0, 2]], "expected targets of 0 and 1"),
    ],
)
def test_temperatures_that_cannot_be_fitted_are_refused(logits: object, target: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        EachTemperature().fit(np.array(logits, np.float64), np.array(target))
