import math
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from offramp.decide.p_values import (
    Evidence,
    binomial_p_value,
    clopper_pearson_upper,
    hoeffding_bentkus_p_value,
)

COUNTS = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
SHARES = st.floats(0.001, 0.999)


@given(COUNTS, st.sampled_from([0.01, 0.05, 0.1, 0.5]))
def test_clopper_pearson_is_that_of_scipy(counts: tuple[int, int], delta: float) -> None:
    errors, n = counts
    interval = stats.binomtest(errors, n, alternative="less").proportion_ci(1.0 - delta, method="exact")
    assert clopper_pearson_upper(errors, n, delta) == pytest.approx(interval.high, rel=1e-6)


@given(COUNTS, SHARES)
def test_binomial_p_value_is_that_of_scipy(counts: tuple[int, int], epsilon: float) -> None:
    errors, n = counts
    expected = stats.binomtest(errors, n, epsilon, alternative="less").pvalue
    assert binomial_p_value(errors, n, epsilon) == pytest.approx(expected, rel=1e-5, abs=1e-290)


def test_binomial_p_value_is_exact_where_scipy_is_not() -> None:
    """scipy is off by 2e-6 here."""
    share = Fraction(3, 8)
    exact = sum(comb(1544, k) * share**k * (1 - share) ** (1544 - k) for k in range(14))
    assert binomial_p_value(13, 1544, 0.375) == pytest.approx(float(exact), rel=1e-10)


@given(COUNTS, SHARES, st.sampled_from([0.01, 0.07, 0.1, 0.3]))
def test_test_and_interval_agree(counts: tuple[int, int], epsilon: float, delta: float) -> None:
    errors, n = counts
    upper = clopper_pearson_upper(errors, n, delta)
    if abs(upper - epsilon) > 1e-9:
        assert (binomial_p_value(errors, n, epsilon) <= delta) == (upper <= epsilon)


@given(COUNTS, SHARES)
def test_hoeffding_bentkus_is_never_sharper_than_the_exact_test(counts: tuple[int, int], epsilon: float) -> None:
    errors, n = counts
    bounded = hoeffding_bentkus_p_value(errors / n, n, epsilon)
    assert binomial_p_value(errors, n, epsilon) <= bounded * (1 + 1e-9) <= 1 + 1e-9


def test_hoeffding_bentkus_by_hand() -> None:
    kl = 0.1 * math.log(0.1 / 0.3) + 0.9 * math.log(0.9 / 0.7)
    bentkus = math.e * stats.binom.cdf(5, 50, 0.3)
    assert hoeffding_bentkus_p_value(0.1, 50, 0.3) == pytest.approx(min(math.exp(-50 * kl), bentkus))
    assert hoeffding_bentkus_p_value(0.4, 50, 0.3) == 1.0
    # 0.07 * 100 is 7.000000000000001 in floating point, and still 7 errors.
    kl = 0.07 * math.log(0.07 / 0.2) + 0.93 * math.log(0.93 / 0.8)
    bentkus = math.e * stats.binom.cdf(7, 100, 0.2)
    assert bentkus < math.exp(-100 * kl)
    assert hoeffding_bentkus_p_value(0.07, 100, 0.2) == pytest.approx(bentkus)


def test_evidence_of_whole_losses_is_exact_and_gains_are_none() -> None:
    found = Evidence.of(np.array([[1.0, 0.0, -1.0, 1.0], [0.0, 0.0, 0.0, -1.0]]))
    assert found.binary
    assert found.test == "exact binomial"
    assert list(found.p_values(0.3)) == pytest.approx([stats.binom.cdf(2, 4, 0.3), stats.binom.cdf(0, 4, 0.3)])


def test_evidence_of_other_losses_is_hoeffdings_and_bentkus() -> None:
    found = Evidence.of(np.array([[0.5, 0.0, 0.0, 0.0]]))
    assert not found.binary
    assert found.test == "Hoeffding-Bentkus"
    assert list(found.p_values(0.3)) == [hoeffding_bentkus_p_value(0.125, 4, 0.3)]
