import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from offramp.calibrate.temperature import Temperature, negative_log_likelihood
from offramp.calibrate.vector import PENALTY, Vector
from offramp.errors import DataError
from tests.calibrate.test_temperature import sample


def by_torch(logits: np.ndarray, target: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """The same objective, differentiated and minimised by torch."""
    z, y = torch.from_numpy(logits), torch.from_numpy(target)
    start = 1.0 / Temperature().fit(logits, target).temperature
    scale = torch.full((z.shape[1],), start, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(z.shape[1], dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([scale, bias], max_iter=500, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        solver.zero_grad()
        away = ((scale - start) ** 2).sum() + (bias**2).sum()
        loss = torch.nn.functional.cross_entropy(z * scale + bias, y) + PENALTY / (2 * len(y)) * away
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    solver.step(closure)  # type: ignore[no-untyped-call]
    return scale.detach(), bias.detach()


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_is_what_torch_finds(scale: float) -> None:
    logits, target = sample(2, scale, n=500)
    logits = logits * np.array([1.0, 0.7, 1.4, 1.0, 0.8]) + np.array([0.5, 0.0, -1.0, 0.2, 0.0])
    found = Vector().fit(logits, target)
    expected = by_torch(logits, target)
    for one, other in zip((found.scale, found.bias), expected, strict=True):
        torch.testing.assert_close(torch.tensor(one, dtype=torch.float64), other, rtol=2e-3, atol=2e-3)


def test_recovers_scales_and_biases_of_the_logits() -> None:
    logits, target = sample(0, 1.0, n=20_000)
    scale, bias = np.array([2.0, 1.0, 0.5, 1.5, 1.0]), np.array([1.0, -1.0, 0.0, 0.5, 0.0])
    found = Vector().fit(logits * scale + bias, target)
    np.testing.assert_allclose(np.array(found.scale) * scale, 1.0, atol=0.1)
    left = np.array(found.scale) * bias + np.array(found.bias)
    np.testing.assert_allclose(left - left.mean(), 0.0, atol=0.1)


@settings(max_examples=25)
@given(st.integers(0, 1000), st.floats(0.1, 10.0), st.sampled_from([3, 20, 300]), st.sampled_from([2, 5, 40]))
def test_is_never_less_likely_than_temperature_scaling(seed: int, scale: float, n: int, classes: int) -> None:
    logits, target = sample(seed, scale, classes, n)
    mine, other = Vector().fit(logits, target), Temperature().fit(logits, target)
    assert negative_log_likelihood(mine(logits), target) <= negative_log_likelihood(other(logits), target) + 1e-9
    assert min(mine.scale) > 0


def test_a_few_samples_of_many_classes_do_not_overfit() -> None:
    """On logits that only need a temperature, what is fitted beyond it costs little on other samples."""
    logits, target = sample(3, 2.0, classes=100, n=750)
    fresh, truth = sample(4, 2.0, classes=100, n=3000)
    mine, other = Vector().fit(logits, target), Temperature().fit(logits, target)
    cost = [negative_log_likelihood(each(fresh), truth) for each in (mine, other)]
    assert cost[0] <= cost[1] + 0.1


def test_may_change_the_class() -> None:
    logits = np.array([[1.0, 0.9], [0.0, 3.0]])
    assert Vector((1.0, 1.0), (0.0, 0.5))(logits).argmax(axis=1).tolist() == [1, 1]
    generator = np.random.default_rng(0)
    biased = generator.normal(size=(500, 3)) + np.array([2.0, 0.0, 0.0])  # says 0 too often
    target = (biased - np.array([2.0, 0.0, 0.0])).argmax(axis=1)
    fitted = Vector().fit(biased, target)
    before, after = ((each.argmax(axis=1) == target).mean() for each in (biased, fitted(biased)))
    assert after > before + 0.2


def test_before_fitting_nothing_is_changed() -> None:
    logits = np.array([[1.0, 2.0]])
    assert Vector()(logits) is logits
    assert Vector().arrays == ()


def test_keeps_the_type_of_arrays_and_tensors() -> None:
    fitted = Vector((2.0, 1.0), (0.0, 1.0))
    assert fitted(np.zeros((1, 2), np.float32)).dtype == np.float32
    assert fitted(torch.zeros(1, 2, dtype=torch.float64)).dtype == torch.float64


def test_refuses_what_cannot_be_fitted() -> None:
    with pytest.raises(DataError, match="finite logits and at least one target"):
        Vector().fit(np.zeros((0, 3)), np.zeros(0, dtype=int))
