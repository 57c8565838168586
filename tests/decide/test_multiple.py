import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from offramp.decide.multiple import bonferroni, fixed_sequence, holm
from tests.reference import guarantees as reference

SHARES = st.floats(0.001, 0.999)
P_VALUES = st.lists(st.one_of(st.floats(0.0, 0.2), st.floats(0.0, 1.0)), max_size=6)


@given(st.lists(st.floats(0.0, 1.0)), SHARES)
def test_sequence_stops_before_the_first_failure(p_values: list[float], delta: float) -> None:
    rejected = fixed_sequence(p_values, delta)
    assert all(p <= delta for p in p_values[:rejected])
    assert rejected == len(p_values) or p_values[rejected] > delta
    assert rejected == reference.last_that_passed(p_values, delta)


@given(P_VALUES, SHARES)
def test_holm_is_closed_testing(p_values: list[float], delta: float) -> None:
    assert holm(np.array(p_values), delta).tolist() == reference.closed_testing(p_values, delta)


@given(P_VALUES, SHARES)
def test_bonferroni_rejects_some_of_what_holm_does(p_values: list[float], delta: float) -> None:
    few = bonferroni(np.array(p_values), delta)
    assert few.tolist() == [p <= delta / len(p_values) for p in p_values]
    assert (holm(np.array(p_values), delta) >= few).all()
