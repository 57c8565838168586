import numpy as np
import pytest

from offramp.analyze.dominance import dominance, middle


def test_rows_are_shares() -> None:
    found = dominance(np.array([[1.0, 2.0, 5.0], [0.0, 1.0, 3.0]]))
    np.testing.assert_allclose(found, [[0.125, 0.25, 0.625], [0.0, 0.25, 0.75]])


def test_a_span_that_nobody_pulls_at_has_no_shares_and_does_not_count() -> None:
    found = dominance(np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 2.0]]))
    assert np.isnan(found[0]).all()
    assert middle(found) == 0.25


def test_the_middle_is_all_exits_but_the_first_and_the_last() -> None:
    assert middle(np.array([[0.1, 0.2, 0.3, 0.4], [0.0, 0.5, 0.2, 0.3]])) == pytest.approx(0.6)
