from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.decide.betting import betting_p_value, betting_upper, log_capital
from tests.reference import guarantees as reference

LOSSES = st.lists(st.sampled_from([0.0, 0.0, 0.0, 1.0, 0.5, -1.0]), min_size=1, max_size=60)
DELTAS = st.sampled_from([0.003, 0.07, 0.1, 0.5])


@given(LOSSES, DELTAS)
def test_bound_is_that_of_the_literal_formula(losses: list[float], delta: float) -> None:
    expected = reference.betting_upper(losses, delta)
    assert betting_upper(np.array(losses), delta) == pytest.approx(expected, abs=1e-9)


@given(LOSSES, DELTAS)
def test_other_limits_than_one(losses: list[float], delta: float) -> None:
    doubled = [2 * loss for loss in losses]
    assert betting_upper(np.array(doubled), delta, 2.0) == pytest.approx(
        reference.betting_upper(doubled, delta, 2.0), abs=1e-9
    )


@given(LOSSES, DELTAS, st.floats(0.001, 0.999))
def test_test_and_bound_agree(losses: list[float], delta: float, epsilon: float) -> None:
    upper = betting_upper(np.array(losses), delta)
    if abs(upper - epsilon) > 1e-9:
        assert (betting_p_value(np.array(losses), epsilon, delta) <= delta) == (upper <= epsilon)


@given(LOSSES, DELTAS)
def test_capital_rises_with_the_level(losses: list[float], delta: float) -> None:
    capital = [log_capital(np.array(losses), level, delta) for level in (0.01, 0.2, 0.7, 1.0)]
    assert all((more >= less - 1e-12).all() for less, more in pairwise(capital))


@pytest.mark.parametrize("risk", [0.01, 0.1])
@pytest.mark.parametrize("delta", [0.05, 0.2])
def test_it_covers_the_mean_often_enough(risk: float, delta: float) -> None:
    generator = np.random.default_rng(0)
    draws = generator.choice([1.0, 0.0, -1.0], size=(200, 300), p=[2 * risk, 1 - 3 * risk, risk])
    missed = sum(betting_upper(losses, delta) < risk for losses in draws)
    assert missed <= 200 * delta


def test_a_mean_below_zero_is_bounded_by_zero() -> None:
    assert betting_upper(np.full(1000, -1.0), 0.1) == pytest.approx(0.0, abs=1e-9)
    assert betting_upper(np.ones(10), 0.1) == 1.0
