import dataclasses

import numpy as np
import pytest
from scipy import stats

from offramp.decide.certify import BY_CONSTRUCTION, certify
from offramp.decide.guarantees import NAMES
from offramp.decide.guarantees.crc import ConformalRisk
from offramp.decide.guarantees.ucb_wsr import BettingBound
from offramp.decide.ladder import OTHER_LEVELS
from offramp.decide.replay import excess, gap, operating_point
from offramp.errors import InputError, SplitReuseError
from offramp.testing.searchers import random_table
from offramp.types import Bound, Configuration, ExitTable, OperatingPoint

EXACT = "LTT fixed sequence, exact binomial"
BOUNDED = "LTT fixed sequence, Hoeffding-Bentkus"


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


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize("risk", ["disagreement", "error"])
def test_bounds_say_what_the_guarantee_proved_and_of_which_risk(name: str, risk: str) -> None:
    path, table, guarantee = path_on(random_table(0), THRESHOLDS), fresh(1, risk=risk), NAMES[name]()
    certified = certify(path, table, 0.01, 0.1, guarantee)
    signed = guarantee.signed and risk == "error"
    losses = np.array([(gap if signed else excess)(table, point.configuration) for point in path[1:]])
    proof = guarantee.prove(losses, 0.01, 0.1)
    wanted = "gap" if signed else risk
    assert certified[0].bound == Bound(wanted, 0.0, proof.delta, BY_CONSTRUCTION, 1000)
    assert [point.bound for point in certified[1:]] == [
        None if epsilon is None else Bound(wanted, epsilon, proof.delta, proof.method, 1000)
        for epsilon in proof.epsilon
    ]
    assert any(point.bound for point in certified[1:])


def test_only_conformal_risk_control_is_on_average() -> None:
    path, table = path_on(random_table(0), THRESHOLDS), fresh(1)
    for name, make in NAMES.items():
        bounds = [point.bound for point in certify(path, table, 0.01, 0.1, make()) if point.bound]
        assert {bound.delta for bound in bounds} == ({None} if name == "crc" else {0.1})
        assert all(("on average" in bound.holds) == (name == "crc") for bound in bounds)
    assert NAMES["crc"]() == ConformalRisk()


def test_the_gap_is_bounded_only_where_there_are_labels_and_it_was_asked_for() -> None:
    path = path_on(random_table(0), THRESHOLDS)
    for risk, guarantee, named in (
        ("error", BettingBound(), "gap"),
        ("error", BettingBound(signed=False), "error"),
        ("disagreement", BettingBound(), "disagreement"),
    ):
        certified = certify(path, fresh(1, risk=risk), 0.05, 0.1, guarantee)
        assert {point.bound.risk for point in certified if point.bound} == {named}


@pytest.mark.parametrize("delta", [0.0, 1.0, -0.1])
def test_a_bound_with_an_impossible_delta_is_refused(delta: float) -> None:
    with pytest.raises(InputError, match="or None for a bound on the average"):
        Bound("disagreement", 0.01, delta, "conformal", 100)
