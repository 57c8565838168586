"""Drops against another model than the last exit, held against a table that has that model as one more exit."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.decide.certify import BY_CONSTRUCTION, certify
from offramp.decide.guarantees import NAMES
from offramp.decide.replay import excess, gap, operating_point, oracle_cost
from offramp.deciding import allowance
from offramp.errors import InputError
from offramp.testing.searchers import random_table
from offramp.types import Configuration, CostProfile, ExitTable


def with_reference(seed: int, risk: str = "error", samples: int = 400, wrong: float = 0.1) -> ExitTable:
    """A table whose last exit is a trained backbone, and the loss of the model it was made from."""
    table = random_table(seed, risk=risk, samples=samples)
    generator = np.random.default_rng(seed + 1000)
    last = (generator.random(samples) < 0.05).astype(np.float64)
    reference = np.zeros(samples) if risk == "disagreement" else (generator.random(samples) < wrong).astype(np.float64)
    return replace(table, loss=np.vstack([table.loss[:-1], last]), reference=reference, split="certify")


def one_more(table: ExitTable) -> ExitTable:
    """The same with the plain model as the last exit, behind the trained backbone, where all leave."""
    assert table.reference is not None
    upto, head, gate = (np.append(row, 0.0) for row in (table.cost.upto, table.cost.head, table.cost.gate))
    upto[-1] = 1e4
    cost = CostProfile("macs", upto, head, gate)
    score = np.vstack([table.score, np.zeros(table.samples)])
    return replace(table, score=score, loss=np.vstack([table.loss, table.reference]), cost=cost, reference=None)


def then_all(configuration: Configuration) -> Configuration:
    return Configuration((*configuration.enabled, True), (*configuration.threshold, -np.inf))


def path() -> list[Configuration]:
    return [Configuration.full(3), *(Configuration((True,) * 3, (t,) * 3) for t in np.linspace(0.999, 0.2, 30))]


@given(st.integers(0, 50), st.sampled_from(["disagreement", "error"]), st.floats(0.1, 1.0))
def test_excess_and_gap_are_those_over_the_plain_model(seed: int, risk: str, threshold: float) -> None:
    table = with_reference(seed, risk)
    for configuration in (Configuration.full(3), Configuration((True, False, True), (threshold,) * 3)):
        for lost in (excess, gap):
            np.testing.assert_array_equal(
                lost(table, configuration), lost(one_more(table), then_all(configuration)), err_msg=lost.__name__
            )


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize("risk", ["disagreement", "error"])
def test_certificates_are_those_of_a_path_where_all_leave_before_the_plain_model(name: str, risk: str) -> None:
    """So the trained backbone is tested like any other exit; and nothing promises more than it."""
    table, wider = with_reference(3, risk, 2000), one_more(with_reference(3, risk, 2000))
    chosen = replace(random_table(0), split="choose")
    points = [operating_point(chosen, configuration, str(i)) for i, configuration in enumerate(path())]
    others = [replace(point, configuration=then_all(point.configuration)) for point in points]
    found = certify(points, table, 0.1, 0.1, NAMES[name]())
    expected = certify(others, wider, 0.1, 0.1, NAMES[name]())
    assert found[0].bound == expected[0].bound
    assert found[0].bound is not None
    assert found[0].bound.method != BY_CONSTRUCTION
    for mine, theirs in zip(found[1:], expected[1:], strict=True):
        assert (mine.bound is None) == (theirs.bound is None)
        if mine.bound is not None and theirs.bound is not None:
            assert mine.bound == replace(theirs.bound, epsilon=max(theirs.bound.epsilon, found[0].bound.epsilon))
    assert any(point.bound is not None for point in found[1:])


def test_where_the_trained_backbone_has_no_certificate_nothing_has() -> None:
    table = with_reference(3, samples=60)
    worst = replace(table, loss=np.vstack([table.loss[:-1], np.ones(60)]), reference=np.zeros(60))
    points = [operating_point(random_table(0), configuration, str(i)) for i, configuration in enumerate(path())]
    for name in NAMES:
        assert not any(point.bound for point in certify(points, worst, 0.01, 0.1, NAMES[name]()))


@given(st.integers(0, 50))
def test_the_oracle_stays_to_the_end_where_no_exit_is_as_good(seed: int) -> None:
    table = with_reference(seed, wrong=0.05)
    assert table.reference is not None
    leaving = table.cost.leaving(np.ones(3, bool))
    spent = []
    for sample in range(table.samples):
        good = [e for e in range(3) if table.loss[e, sample] <= table.reference[sample]]
        spent.append(leaving[min(good, default=3)])
    assert oracle_cost(table) == pytest.approx(np.mean(spent) / table.cost.backbone)


def test_exits_may_lose_what_the_trained_backbone_has_left() -> None:
    loss = np.zeros((2, 100))
    cost = CostProfile("macs", np.array([1.0, 2.0]), np.zeros(2), np.zeros(2))
    table = ExitTable(np.zeros((2, 100)), loss, cost, "choose", "error")
    assert allowance(table, 0.02).max_drop == 0.02
    gained = replace(table, reference=(np.arange(100) < 3).astype(np.float64))
    assert allowance(gained, 0.02).max_drop == pytest.approx(0.05)
    lost = replace(table, loss=np.vstack([loss[0], np.arange(100) < 1]), reference=np.zeros(100))
    assert allowance(lost, 0.04).max_drop == pytest.approx(0.03)
    assert allowance(lost, 0.01).max_drop == 0.005


def test_a_reference_without_a_number_is_refused() -> None:
    with pytest.raises(InputError, match="got NaN"):
        replace(random_table(0), reference=np.full(200, np.nan))
