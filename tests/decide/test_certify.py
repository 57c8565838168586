import dataclasses
import math
from collections.abc import Iterable
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from offramp.decide import certify as certify_module
from offramp.decide.certify import (
    BOUNDED,
    BY_CONSTRUCTION,
    EXACT,
    MAIN_SHARE,
    OTHER_LEVELS,
    binomial_p_value,
    certify,
    clopper_pearson_upper,
    fixed_sequence,
    hoeffding_bentkus_p_value,
)
from offramp.decide.replay import excess, operating_point
from offramp.errors import InputError, SplitReuseError
from offramp.testing.searchers import random_table
from offramp.types import Configuration, CostProfile, ExitTable, OperatingPoint

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
    assert binomial_p_value(errors, n, epsilon) == pytest.approx(expected, rel=1e-5, abs=1e-300)


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


def test_main_share_loses_nothing_at_the_usual_size() -> None:
    assert binomial_p_value(5, 1000, 0.01) <= MAIN_SHARE * 0.1
    assert binomial_p_value(6, 1000, 0.01) > 0.1


@given(st.lists(st.floats(0.0, 1.0)), SHARES)
def test_sequence_stops_before_the_first_failure(p_values: list[float], delta: float) -> None:
    rejected = fixed_sequence(p_values, delta)
    assert all(p <= delta for p in p_values[:rejected])
    assert rejected == len(p_values) or p_values[rejected] > delta


# what certify says about one table


def path_on(table: ExitTable, thresholds: list[float]) -> list[OperatingPoint]:
    inner = table.exits - 1
    path = [Configuration.full(inner), *(Configuration((True,) * inner, (t,) * inner) for t in thresholds)]
    return [operating_point(table, configuration, str(i)) for i, configuration in enumerate(path)]


def fresh(seed: int, risk: str = "disagreement") -> ExitTable:
    return dataclasses.replace(random_table(seed, samples=1000, risk=risk), split="certify")


THRESHOLDS = np.linspace(0.999, 0.2, 30).tolist()


@pytest.mark.parametrize("risk", ["disagreement", "error"])
def test_each_bound_is_the_smallest_level_passed_by_all_before(risk: str) -> None:
    path, table = path_on(random_table(0), THRESHOLDS), fresh(1, risk=risk)
    certified = certify(path, table, max_drop=0.01, delta=0.1)
    errors = [int(excess(table, point.configuration).sum()) for point in path[1:]]
    shares = {0.01 * m: 0.03 / len(OTHER_LEVELS) for m in OTHER_LEVELS} | {0.01: 0.07}
    for i, point in enumerate(certified[1:]):
        passed = [
            e for e, share in shares.items() if all(stats.binom.cdf(k, 1000, e) <= share for k in errors[: i + 1])
        ]
        assert (point.bound.epsilon if point.bound else None) == min(passed, default=None)
        assert point.bound is None or (point.bound.risk, point.bound.delta) == (risk, 0.1)
        assert point.bound is None or (point.bound.method, point.bound.n) == (EXACT, 1000)
    assert len({point.bound.epsilon for point in certified if point.bound}) > 3
    assert [dataclasses.replace(point, bound=None) for point in certified] == path


def test_the_plain_backbone_is_certain_and_costs_no_test() -> None:
    path, table = path_on(random_table(0), THRESHOLDS), fresh(1)
    bound = certify(path, table, max_drop=0.01, delta=0.1)[0].bound
    assert bound is not None
    assert (bound.epsilon, bound.method) == (0.0, BY_CONSTRUCTION)
    assert certify(path, table, 0.01, 0.1)[1:] == certify(path[1:], table, 0.01, 0.1)


def test_what_nothing_bounds_has_no_bound() -> None:
    table = fresh(1)
    table.loss[:-1] = 1.0
    certified = certify(path_on(random_table(0), [0.5]), table, max_drop=0.01, delta=0.1)
    assert [point.bound is None for point in certified] == [False, True]


def test_an_earlier_certificate_is_replaced() -> None:
    path, table = path_on(random_table(0), [0.5]), fresh(1)
    once = certify(path, table, max_drop=0.3, delta=0.1)
    table.loss[:-1] = 1.0
    assert certify(once, table, max_drop=0.01, delta=0.1)[1].bound is None


def test_losses_between_zero_and_one_take_the_wider_bound() -> None:
    table = fresh(1)
    table.loss[:-1] *= 0.5
    bounds = [point.bound for point in certify(path_on(random_table(0), THRESHOLDS), table, 0.05, 0.1)[1:]]
    assert {bound.method for bound in bounds if bound} == {BOUNDED}


def test_levels_of_one_and_more_are_not_tested() -> None:
    certified = certify(path_on(random_table(0), THRESHOLDS), fresh(1), max_drop=1.0, delta=0.1)
    assert {point.bound.epsilon for point in certified if point.bound} <= {0.0, 0.25, 0.5}


@pytest.mark.parametrize("split", ["choose", "train", "train-heads"])
def test_a_split_is_not_used_twice(split: str) -> None:
    table = dataclasses.replace(random_table(1), split=split)
    with pytest.raises(SplitReuseError, match=split):
        certify(path_on(random_table(0), [0.5]), table, max_drop=0.01, delta=0.1)


@pytest.mark.parametrize(("max_drop", "delta"), [(0.0, 0.1), (1.5, 0.1), (0.01, 0.0), (0.01, 1.0)])
def test_shares_outside_their_range_are_refused(max_drop: float, delta: float) -> None:
    with pytest.raises(InputError, match=r"write 1 % as 0\.01"):
        certify([], fresh(1), max_drop, delta)


# the promise: worlds whose true risk is known

N, EPSILON, DELTA = 400, 0.02, 0.1
GRID = np.linspace(0.9, 0.1, 9)
COST = CostProfile("macs", np.array([1.0, 2.0]), np.array([0.1, 0.0]), np.zeros(2))


def world(seed: int, *, binary: bool = True) -> ExitTable:
    """Scores uniform on [0, 1]; at score s the exit disagrees with probability (1 - s)^2 / 3."""
    generator = np.random.default_rng(seed)
    score = generator.random((2, N))
    loss = (generator.random((2, N)) < (1.0 - score) ** 2 / 3).astype(np.float64)
    if not binary:
        loss *= generator.random((2, N)) * 2
        loss = loss.clip(0.0, 1.0)
    loss[-1] = 0.0
    return ExitTable(score, loss, COST, "certify")


def true_risk(threshold: float, *, binary: bool = True) -> float:
    """Integral of the above over scores from the threshold on; clip(2 U, 0, 1) has mean 3/4."""
    return (1.0 - threshold) ** 3 / 9 * (1.0 if binary else 0.75)


def broken(seed: int, *, binary: bool = True) -> bool:
    path = [OperatingPoint(str(t), Configuration((True,), (float(t),)), 0.0, 0.0, (0.0, 1.0), "choose") for t in GRID]
    certified = certify(path, world(seed, binary=binary), EPSILON, DELTA)
    return any(
        point.bound is not None and true_risk(t, binary=binary) > point.bound.epsilon
        for t, point in zip(GRID, certified, strict=True)
    )


@pytest.mark.parametrize("binary", [True, False])
def test_all_bounds_hold_together_in_a_hundred_worlds(binary: bool) -> None:
    assert sum(broken(seed, binary=binary) for seed in range(100)) <= DELTA * 100


@pytest.mark.slow
@pytest.mark.parametrize("binary", [True, False])
def test_all_bounds_hold_together_in_a_thousand_worlds(binary: bool) -> None:
    assert sum(broken(seed, binary=binary) for seed in range(1000)) <= DELTA * 1000


def first_failed(p_values: Iterable[float], delta: float) -> int:
    """The rule of a released implementation, one too far."""
    tested = list(p_values)
    return min(fixed_sequence(tested, delta) + 1, len(tested))


def test_keeping_the_first_failure_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same worlds tell the rule from its off-by-one variant, so the tests above can fail."""
    monkeypatch.setattr(certify_module, "fixed_sequence", first_failed)
    assert sum(broken(seed) for seed in range(100)) > 2 * DELTA * 100


def test_the_worlds_are_not_safe_by_saying_nothing() -> None:
    """In a typical world the goal is certified down to a risk of a third of it."""
    table = world(0)
    path = [operating_point(table, Configuration((True,), (float(t),)), "") for t in GRID]
    certified = certify(path, dataclasses.replace(table, split="other"), EPSILON, DELTA)
    proved = [t for t, point in zip(GRID, certified, strict=True) if point.bound and point.bound.epsilon <= EPSILON]
    assert true_risk(proved[-1]) >= EPSILON / 3
