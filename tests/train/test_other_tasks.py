"""Regimes of tasks whose outputs are no logits of classes, and heads that learn values of any scale."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from torch.nn import functional as F

from offramp.errors import DataError
from offramp.heads import head_type
from offramp.heads.head import Head
from offramp.model.cache import FeatureCache
from offramp.testing.regimes import RegimeSuite
from offramp.train import NAMES
from offramp.train.each import DistilEach, Each
from offramp.train.fit import Fit, Schedule
from offramp.train.regime import Regime
from offramp.train.rows import Rows
from offramp.train.scaled import OfValues, Scaled
from offramp.train.values import LEAST, MOST, DistilValues, Values, likelihood


@pytest.mark.parametrize("name", ["distil-each", "each", "selfxit-each"])
class TestEach(RegimeSuite):
    @pytest.fixture
    def regime(self, name: str) -> Regime:
        found = NAMES[name]
        assert isinstance(found, Regime)
        return found

    def case(self, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        exit_, backbone = torch.randn(2, 8, 5, generator=generator) * 2.0
        return exit_, backbone, torch.randint(0, 2, (8, 5), generator=generator)


@pytest.mark.parametrize("name", ["distil-values", "values"])
class TestValues(RegimeSuite):
    step = 1e-4  # likelihoods of normal distributions are steep where heads are sure

    @pytest.fixture
    def regime(self, name: str) -> Regime:
        found = NAMES[name]
        assert isinstance(found, Regime)
        return found

    def case(self, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        exit_, backbone = torch.randn(2, 8, 4, generator=generator) * 2.0
        return exit_, backbone, torch.randn(8, 2, generator=generator)


ROWS = st.lists(st.lists(st.floats(-8, 8), min_size=4, max_size=4), min_size=1, max_size=4)


def sigmoid(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-z))


@given(exits=ROWS, seed=st.integers(0, 99), temperature=st.sampled_from([0.5, 1.0, 2.0]))
def test_distillation_is_the_divergence_summed_by_hand(exits: list[list[float]], seed: int, temperature: float) -> None:
    backbone = (torch.randn(len(exits), 4, generator=torch.Generator().manual_seed(seed)) * 3.0).double()
    total = 0.0
    for mine, theirs in zip(exits, backbone.tolist(), strict=True):
        for one, other in zip(mine, theirs, strict=True):
            q, p = sigmoid(one / temperature), sigmoid(other / temperature)
            total += p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    loss = DistilEach(temperature).loss(torch.tensor(exits, dtype=torch.float64), backbone, None)
    assert loss.item() == pytest.approx(temperature**2 * total / len(exits), abs=1e-8)


def test_labels_are_learned_by_the_cross_entropy_of_torch() -> None:
    logits, _, labels = TestEach().case()
    expected = F.binary_cross_entropy_with_logits(logits, labels.float()) * logits.shape[1]
    assert Each().loss(logits, logits, labels).item() == pytest.approx(expected.item(), rel=1e-5)


@given(exits=ROWS, seed=st.integers(0, 99))
def test_values_are_learned_by_the_likelihood_of_scipy(exits: list[list[float]], seed: int) -> None:
    output = torch.tensor(exits, dtype=torch.float64)
    output[:, 2:] = output[:, 2:].clamp(-4, 1)  # well within the bounds of spreads
    target = torch.randn(len(exits), 2, generator=torch.Generator().manual_seed(seed)).double()
    logs = norm.logpdf(target.numpy(), output[:, :2].numpy(), np.exp(output[:, 2:].numpy())) + 0.5 * np.log(2 * np.pi)
    assert likelihood(output, target).item() == pytest.approx(-logs.sum(axis=1).mean(), rel=0.08, abs=0.1)


def test_spreads_count_within_bounds_only() -> None:
    right = torch.zeros(1, 1)
    for said, bound in ((-1e4, LEAST), (1e4, MOST)):
        assert likelihood(torch.tensor([[0.0, said]]), right).item() == pytest.approx(bound, abs=1e-3)


def test_what_values_are_held_against() -> None:
    backbone, labels = torch.tensor([[1.0, 2.0, -60.0, -60.0]]), torch.tensor([[5.0, 6.0]])
    assert DistilValues().targets(backbone, labels).tolist() == [[1.0, 2.0]]
    assert Values().targets(backbone, labels).tolist() == [[5.0, 6.0]]
    with pytest.raises(DataError, match="expected labels for the regime values"):
        Values().targets(backbone, None)
    assert [name for name, one in NAMES.items() if isinstance(one, OfValues)] == ["distil-values", "values"]


def made(width: int = 6, head: str = "pooled-mlp") -> Head:
    return head_type(head).build((width,), 4, torch.Generator().manual_seed(0))


def cache(scale: float, shift: float, samples: int = 800) -> FeatureCache:
    """Two values: one that the features say, and one that they say only where the third is small."""
    x = np.random.default_rng(0).normal(size=(samples, 6)).astype(np.float32)
    noise = np.random.default_rng(1).normal(size=samples)
    values = np.stack([x[:, 0] + 0.5 * x[:, 1], x[:, 1] + np.where(x[:, 2] > 0, 1.0, 0.05) * noise], axis=1)
    logits = np.hstack([values * scale + shift, np.full((samples, 2), -60.0)]).astype(np.float32)
    return FeatureCache("train", samples, {("p", made().reduction.name): x}, logits)


SCHEDULE = Schedule(epochs=40, batch_size=64, learning_rate=5e-3)


def fitted(head: Head, known: FeatureCache, onward: bool = False, epochs: int = 40) -> float:
    key = ("p", head.reduction.name)
    schedule = replace(SCHEDULE, epochs=epochs)
    return Fit([head], [key], DistilValues(), schedule, onward=onward).run(Rows((known,)))[0]


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1e5, 1e6), (1e-4, 3e-3)])
def test_heads_learn_values_of_any_scale_with_their_spreads(scale: float, shift: float) -> None:
    head, known = made(), cache(scale, shift)
    loss = fitted(head, known)
    assert loss == pytest.approx(fitted(made(), cache(1.0, 0.0)), abs=0.02), "the unit does not matter"
    x = torch.from_numpy(known.features["p", head.reduction.name])
    with torch.no_grad():
        said = head.predict(x).double().numpy()
    off = (said[:, :2] - known.logits[:, :2]) / scale
    assert np.sqrt((off[:, 0] ** 2).mean()) < 0.15
    sure = known.features["p", head.reduction.name][:, 2] < 0
    spread = np.exp(said[:, 3]) / scale
    assert np.median(spread[~sure]) == pytest.approx(1.0, rel=0.35)
    assert np.median(spread[sure]) < 0.35


@given(st.floats(1e-6, 1e6), st.floats(-10, 10))
def test_a_scale_absorbed_is_the_same_answer_in_another_unit(deviation: float, mean: float) -> None:
    head, x = made().eval(), torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
    by = Scaled(torch.tensor([mean * deviation, 0.0]), torch.tensor([1.0 / deviation, 1.0]))
    with torch.no_grad():
        before = head.predict(x).double()
        by.into(head)
        after = head.predict(x).double()
        expected = before[:, 0] * deviation + mean * deviation
        torch.testing.assert_close(after[:, 0], expected, rtol=1e-4, atol=1e-4 * deviation)
        torch.testing.assert_close(after[:, 2], before[:, 2] + math.log(deviation), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(after[:, [1, 3]], before[:, [1, 3]])
        by.out_of(head)
        torch.testing.assert_close(head.predict(x).double(), before, rtol=1e-4, atol=1e-4)


def test_outputs_and_labels_are_standardised_alike() -> None:
    targets = torch.tensor([[1e6, 5.0], [1e6 + 2.0, 5.0]], dtype=torch.float64)
    by = Scaled.of(targets)
    assert by.values(targets).tolist() == [[-1.0, 0.0], [1.0, 0.0]]
    output = by.outputs(torch.tensor([[1e6, 5.0, 0.0, 0.0]]))
    torch.testing.assert_close(output, torch.tensor([[-1.0, 0.0, 0.0, 0.0]]))
    wider = Scaled.of(torch.tensor([[-3.0], [3.0]])).outputs(torch.tensor([[3.0, math.log(6.0)]]))
    torch.testing.assert_close(wider, torch.tensor([[1.0, math.log(2.0)]]))


def test_heads_that_go_on_begin_where_they_are() -> None:
    known = cache(1e3, 1e4)
    head = made()
    taught = fitted(head, known)
    weights = {name: tensor.clone() for name, tensor in head.state_dict().items()}
    still = replace(SCHEDULE, epochs=1, learning_rate=0.0)
    key = ("p", head.reduction.name)
    assert Fit([head], [key], DistilValues(), still, onward=True).run(Rows((known,)))[0] == pytest.approx(taught, 1e-4)
    for name, tensor in head.state_dict().items():
        torch.testing.assert_close(tensor, weights[name], rtol=1e-3, atol=1e-4)
    assert fitted(head, known, onward=True, epochs=1) < fitted(made(), known, epochs=1) - 0.5
