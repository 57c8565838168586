import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from offramp.calibrate import NAMES
from offramp.calibrate.calibrator import Calibrator
from offramp.calibrate.identity import Identity
from offramp.calibrate.temperature import RANGE, Temperature, negative_log_likelihood
from offramp.errors import DataError


def sample(seed: int, scale: float, classes: int = 5, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax is right once they are divided by `scale`."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(n, classes)) * 2.0
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    target = (generator.random((n, 1)) < probability.cumsum(axis=1)).argmax(axis=1)
    return logits * scale, target


@given(st.integers(0, 1000), st.floats(0.02, 30.0))
def test_no_temperature_of_a_fine_grid_is_better(seed: int, scale: float) -> None:
    logits, target = sample(seed, scale, n=30)
    found = Temperature().fit(logits, target)
    assert RANGE[0] <= found.temperature <= RANGE[1]
    best = min(negative_log_likelihood(logits / t, target) for t in np.geomspace(*RANGE, 150))
    assert negative_log_likelihood(found(logits), target) <= best + 1e-5 * (1.0 + best)


@pytest.mark.parametrize("scale", [0.25, 1.0, 4.0])
def test_recovers_the_scale_of_the_logits(scale: float) -> None:
    assert Temperature().fit(*sample(0, scale, n=20_000)).temperature == pytest.approx(scale, rel=0.05)


@pytest.mark.parametrize("scale", [0.25, 1.0, 4.0])
def test_fitted_to_probabilities_it_gives_them_back(scale: float) -> None:
    """Fitted to the classes that they make likely it would be surer: each is right always."""
    logits, _ = sample(2, 1.0)
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert Temperature().fit(logits * scale, probability).temperature == pytest.approx(scale, rel=1e-3)
    assert Temperature().fit(logits * scale, logits.argmax(axis=1)).temperature < 0.5 * scale


def test_likelihood_is_that_of_torch() -> None:
    logits, target = sample(1, 3.0)
    expected = cross_entropy(torch.from_numpy(logits), torch.from_numpy(target)).item()
    assert negative_log_likelihood(logits, target) == pytest.approx(expected)
    share = np.random.default_rng(0).dirichlet(np.ones(logits.shape[1]), len(logits))
    expected = cross_entropy(torch.from_numpy(logits), torch.from_numpy(share)).item()
    assert negative_log_likelihood(logits, share) == pytest.approx(expected)


def test_an_exit_that_is_always_right_keeps_its_scores_apart() -> None:
    logits = np.array([[9.0, 0.0], [8.0, 0.0], [0.5, 0.0]])
    assert Temperature().fit(logits, np.array([0, 0, 0])).temperature == pytest.approx(RANGE[0], rel=1e-3)


def test_divides_tensors_without_converting_them() -> None:
    logits = torch.tensor([[4.0, 1.0]])
    torch.testing.assert_close(Temperature(2.0)(logits), torch.tensor([[2.0, 0.5]]))


def test_fitting_leaves_the_calibrator_alone() -> None:
    start = Temperature()
    assert start.fit(*sample(0, 4.0)) != start
    assert start.temperature == 1.0


@pytest.mark.parametrize(
    ("logits", "target"),
    [
        (np.zeros((0, 3)), np.zeros(0, dtype=int)),
        (np.zeros((1, 3)), np.array([3])),
        (np.zeros((1, 3)), np.array([-1])),
        (np.array([[np.nan, 0.0]]), np.array([0])),
    ],
)
def test_refuses_what_cannot_be_fitted(logits: np.ndarray, target: np.ndarray) -> None:
    with pytest.raises(DataError, match="finite logits and at least one target"):
        Temperature().fit(logits, target)


def test_identity_changes_nothing() -> None:
    logits, target = sample(0, 4.0)
    assert Identity().fit(logits, target)(logits) is logits


def test_every_name_makes_a_calibrator() -> None:
    assert sorted(NAMES) == ["each-temperature", "isotonic", "none", "spread", "temperature", "vector"]
    assert all(isinstance(make(), Calibrator) for make in NAMES.values())
