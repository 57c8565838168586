import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from torchmetrics.functional.classification import multiclass_calibration_error

from offramp.errors import DataError, InputError
from offramp.uncertainty.calibration_error import calibration_error
from offramp.uncertainty.reliability import Equal, reliability
from tests.uncertainty.made import calibrated, early_exits


@pytest.mark.parametrize("bins", [1, 10, 15])
@pytest.mark.parametrize("sharp", [0.5, 2.0, 3.0])
def test_equal_width_is_that_of_torchmetrics(bins: int, sharp: float) -> None:
    probability, target = calibrated(1, 1500, sharp=sharp)
    probability = probability**1.7 / (probability**1.7).sum(axis=1, keepdims=True)
    said, truth = torch.from_numpy(probability), torch.from_numpy(target)
    found = calibration_error(probability, target, bins=bins, equal="width")
    for value, norm in ((found.expected, "l1"), (found.largest, "max")):
        expected = multiclass_calibration_error(said, truth, 10, n_bins=bins, norm=norm)
        assert value == pytest.approx(float(expected), abs=2e-6)  # it computes in single precision


def test_complete_confidence_is_in_the_last_bin() -> None:
    """torchmetrics 1.9 gives it a bin of its own, beyond the last (its issue 3510)."""
    probability = np.array([[1.0, 0.0]] * 2 + [[0.95, 0.05]] * 2)
    found = calibration_error(probability, np.array([0, 1, 0, 0]), bins=10, equal="width")
    assert found.count == (4,)
    assert found.expected == pytest.approx(0.975 - 0.75)


@pytest.mark.parametrize(("equal", "strategy"), [("mass", "quantile"), ("width", "uniform")])
def test_bins_are_those_of_scikit_learn(equal: Equal, strategy: str) -> None:
    probability, target = calibrated(2, 15 * 80)
    right = (probability.argmax(axis=1) == target).astype(int)
    share, mean = calibration_curve(right, probability.max(axis=1), n_bins=15, strategy=strategy)
    found = reliability(probability, target, equal=equal)
    np.testing.assert_allclose(found.right, share)
    np.testing.assert_allclose(found.confidence, mean)
    assert sum(found.count) == 1200
    if equal == "mass":
        assert found.count == (80,) * 15


@pytest.mark.parametrize("equal", ["width", "mass"])
def test_a_perfect_predictor_looks_wrong_in_batches_and_not_over_the_whole_set(equal: Equal) -> None:
    """The bias that published figures of early exits contain: in batches of 64, 15 bins hold four samples each."""
    probability, target = calibrated(0, 64 * 157, classes=4)
    batches = zip(np.split(probability, 157), np.split(target, 157), strict=True)
    assert 0.10 < np.mean([calibration_error(p, y, equal=equal).expected for p, y in batches]) < 0.18
    assert calibration_error(probability, target, equal=equal).expected < 0.015


def test_what_is_too_sure_by_a_tenth_has_an_error_of_a_tenth() -> None:
    right = np.random.default_rng(0).random(100_000) < 0.7
    probability = np.tile([0.8, 0.2], (100_000, 1))
    found = calibration_error(probability, np.where(right, 0, 1))
    assert found.expected == pytest.approx(0.1, abs=0.005)
    assert found.count == (100_000,)  # all tie, so there is one bin


@given(st.integers(0, 100), st.integers(1, 40), st.sampled_from(["mass", "width"]), st.integers(1, 60))
def test_neither_order_nor_ties_matter(seed: int, bins: int, equal: Equal, samples: int) -> None:
    probability, target = calibrated(seed, samples, classes=3)
    probability = np.round(probability, 1)
    found = reliability(probability, target, bins=bins, equal=equal)
    order = np.random.default_rng(seed).permutation(samples)
    again = reliability(probability[order], target[order], bins=bins, equal=equal)
    assert again.count == found.count
    np.testing.assert_allclose(again.right, found.right)
    assert sum(found.count) == samples
    assert min(found.count) > 0
    assert len(found.count) <= bins
    mean = np.average(found.right, weights=found.count)
    assert mean == pytest.approx((probability.argmax(axis=1) == target).mean())


def test_as_run_is_what_each_exit_said_to_those_that_left_there() -> None:
    probability, target, exit_index = early_exits(0, 900)
    picked = np.array([probability[e, i] for i, e in enumerate(exit_index)])
    assert len(set(exit_index.tolist())) == 3
    assert calibration_error(probability, target, exit_index) == calibration_error(picked, target)


@pytest.mark.parametrize(
    ("probability", "target", "exit_index", "error", "message"),
    [
        (np.full((0, 3), 1 / 3), np.zeros(0, int), None, DataError, "at least one sample"),
        (np.full((1, 3), 1 / 3), np.array([3]), None, DataError, r"targets in 0..2, got 3..3"),
        (np.array([[4.0, -1.0]]), np.array([0]), None, DataError, "apply softmax to logits first"),
        (np.array([[np.nan, 1.0]]), np.array([0]), None, DataError, "apply softmax"),
        (np.full((2, 1, 3), 1 / 3), np.array([0]), None, InputError, "with exit_index"),
        (np.full((1, 3), 1 / 3), np.array([0]), np.array([0]), InputError, "with exit_index"),
        (np.full((2, 1, 3), 1 / 3), np.array([0]), np.array([2]), InputError, r"an exit in 0..1"),
    ],
)
def test_what_is_no_probability_is_refused(
    probability: np.ndarray, target: np.ndarray, exit_index: np.ndarray | None, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        calibration_error(probability, target, exit_index)


def test_no_bins_are_refused() -> None:
    with pytest.raises(InputError, match="at least one bin"):
        reliability(*calibrated(0, 5), bins=0)
