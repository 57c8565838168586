"""Gates of tasks whose outputs are no logits of classes."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import erf, expit
from scipy.stats import norm

from offramp.errors import InputError
from offramp.gates.each_label import EachLabel
from offramp.gates.gate import Gate
from offramp.gates.within import Within
from offramp.testing.gates import GateSuite
from tests.scorers import SCORERS

ROWS = st.lists(st.lists(st.floats(-6, 6), min_size=4, max_size=4), min_size=1, max_size=5)


class TestEachLabel(GateSuite):
    @pytest.fixture
    def gate(self) -> Gate:
        return EachLabel()


class TestWithin(GateSuite):
    fewest = 4
    sure = False  # it looks at spreads, which the second half of an output is

    @pytest.fixture
    def gate(self) -> Gate:
        return SCORERS["within"]


@given(rows=ROWS)
def test_each_label_is_the_mean_probability_of_its_answers(rows: list[list[float]]) -> None:
    score = EachLabel().score(torch.tensor(rows, dtype=torch.float64), 0)
    expected = [sum(max(p, 1 - p) for p in expit(row)) / len(row) for row in rows]
    torch.testing.assert_close(score.tolist(), expected, rtol=1e-9, atol=1e-9)


def test_each_label_is_the_expected_share_of_right_labels() -> None:
    """Of labels drawn with the probabilities that the logits say."""
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(40_000, 5)) * 2.0
    labels = generator.random(logits.shape) < expit(logits)
    right = (labels == (logits > 0)).mean(axis=1)
    score = EachLabel().score(torch.from_numpy(logits), 0).numpy()
    assert score.mean() == pytest.approx(right.mean(), abs=0.003)
    sure = score > np.median(score)
    assert score[sure].mean() == pytest.approx(right[sure].mean(), abs=0.003)


@given(rows=ROWS, tolerance=st.tuples(st.floats(0.01, 5.0), st.floats(0.01, 5.0)))
def test_within_is_the_product_of_error_functions(rows: list[list[float]], tolerance: tuple[float, float]) -> None:
    score = Within((tolerance,)).score(torch.tensor(rows, dtype=torch.float64), 0)
    expected = [
        math.prod(erf(t / (np.sqrt(2) * np.exp(s))) for t, s in zip(tolerance, r[2:], strict=True)) for r in rows
    ]
    torch.testing.assert_close(score.tolist(), [float(p) for p in expected], rtol=1e-6, atol=1e-6)
    both = [math.prod(1 - 2 * norm.sf(t, scale=np.exp(s)) for t, s in zip(tolerance, r[2:], strict=True)) for r in rows]
    torch.testing.assert_close(score.tolist(), [float(p) for p in both], rtol=1e-6, atol=1e-6)


def test_within_rises_as_spreads_fall_and_does_not_look_at_values() -> None:
    spread = torch.linspace(3.0, -1.0, 9)
    output = torch.stack([torch.randn(9, generator=torch.Generator().manual_seed(0)) * 1e6, spread], dim=1)
    score = Within(((1.0,),)).score(output, 0)
    assert bool((score.diff() > 0).all())
    backbone = torch.tensor([[7.0, -60.0]])
    assert Within(((1e-12,),)).score(backbone, 1).tolist() == [1.0], "the backbone is behind all exits"


def test_within_has_to_know_tolerances_for_each_value() -> None:
    assert Within().tolerating((0.5, 2.0), 3).weights == ((0.5, 2.0),) * 3
    with pytest.raises(InputError, match="expected tolerances for the gate within, got none"):
        Within().tolerating((), 3)
    with pytest.raises(InputError, match="expected a fitted within gate"):
        Within().score(torch.zeros(2, 4), 0)
    with pytest.raises(InputError, match="expected 2 weights for the within gate at exit 0, got 1"):
        Within(((0.5,),)).score(torch.zeros(2, 4), 0)
