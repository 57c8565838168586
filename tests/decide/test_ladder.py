import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.decide.ladder import MAIN_SHARE, ladder, smallest_passed
from offramp.decide.p_values import binomial_p_value


def test_main_share_loses_nothing_at_the_usual_size() -> None:
    assert binomial_p_value(5, 1000, 0.01) <= MAIN_SHARE * 0.1
    assert binomial_p_value(6, 1000, 0.01) > 0.1


@given(st.floats(0.001, 1.0), st.floats(0.01, 0.5))
def test_shares_of_all_levels_are_delta_in_all(max_drop: float, delta: float) -> None:
    steps = ladder(max_drop, delta)
    assert sum(share for _, share in steps) <= delta * (1 + 1e-9)
    assert all(0.0 < level < 1.0 for level, _ in steps)
    if 50 * max_drop < 1.0:
        assert sum(share for _, share in steps) == pytest.approx(delta)


@given(st.lists(st.floats(0.0, 1.0), max_size=5))
def test_each_point_keeps_the_smallest_level(risks: list[float]) -> None:
    steps = [(0.2, 0.01), (0.05, 0.01), (0.8, 0.01)]
    found = smallest_passed(steps, len(risks), lambda level, _: np.array(risks, dtype=np.float64) <= level)
    assert found == tuple(min((level for level, _ in steps if risk <= level), default=None) for risk in risks)
