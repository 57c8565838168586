import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.decide.threshold import between, cuts

UNIT = st.floats(0.0, 1.0, width=32)


@given(UNIT, UNIT, st.sampled_from([np.float32, np.float64]))
def test_tells_two_scores_apart_in_their_own_precision(a: float, b: float, dtype: type[np.floating]) -> None:
    lower, upper = np.array([min(a, b)], dtype), np.array([max(a, b)], dtype)
    threshold = between(upper, lower)
    assert threshold.dtype == dtype
    assert upper[0] >= threshold[0]
    assert a == b or lower[0] < threshold[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_neighbouring_floats(dtype: type[np.floating]) -> None:
    """Halfway rounds to the upper of the first pair and to the lower of the second."""
    top = np.array([1.0], dtype)
    second = np.nextafter(top, np.array([0.0], dtype))
    third = np.nextafter(second, np.array([0.0], dtype))
    assert between(top, second) == top
    assert between(second, third) == second


@pytest.mark.parametrize(("upper", "lower"), [(0.5, -np.inf), (np.inf, 0.5), (np.inf, -np.inf)])
def test_infinite_scores_give_the_upper_one(upper: float, lower: float) -> None:
    assert between(np.array([upper]), np.array([lower])) == upper


@given(st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0]), max_size=8))
def test_a_cut_lets_exactly_its_samples_leave(scores: list[float]) -> None:
    score = np.sort(np.array(scores, dtype=np.float64))[::-1]
    for position, threshold in enumerate(cuts(score)):
        if np.isnan(threshold):
            assert score[position] == score[position + 1]
        else:
            assert (score >= threshold).sum() == position + 1
