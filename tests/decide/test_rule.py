from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from offramp.decide.replay import replay
from offramp.decide.rule import NAMES, Accumulate, Direct, Patience, Rule, decisive, rule
from offramp.errors import UnknownNameError
from offramp.testing.rules import RuleSuite
from offramp.testing.searchers import random_table
from offramp.types import Configuration
from tests.reference import runtime

GATES = arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 8)), elements=st.floats(0, 1))


class TestDirect(RuleSuite):
    @pytest.fixture
    def rule(self) -> Rule:
        return Direct()


class TestAccumulate(RuleSuite):
    @pytest.fixture
    def rule(self) -> Rule:
        return Accumulate()


class TestPatience(RuleSuite):
    @pytest.fixture
    def rule(self) -> Rule:
        return Patience()


def marginals(gates: np.ndarray) -> np.ndarray:
    """P(G = l) of JEI-DNN: g_l cut off where the masses add up to 1, and the rest at the last exit."""
    left, found = 1.0, []
    for g in gates:
        found.append(max(0.0, min(float(g), left)))
        left -= found[-1]
    return np.array([*found, left])


@given(gates=GATES)
def test_exit_probabilities_are_a_distribution_and_the_rest_goes_to_the_last_exit(gates: np.ndarray) -> None:
    """J2."""
    for column in gates.T:
        mass = marginals(column)
        assert mass.min() >= 0.0
        assert mass.sum() == pytest.approx(1.0, abs=1e-12)
        assert mass[-1] == pytest.approx(max(0.0, 1.0 - column.sum()), abs=1e-9)


@given(gates=GATES)
def test_accumulating_to_one_is_a_conditional_probability_of_one_half(gates: np.ndarray) -> None:
    """J1: the first l with 2 g_l + S >= 1 is the first with h_l = P(G = l) / (1 - S) >= 1/2."""
    memory, numbers = Accumulate().start(gates.shape[1]), []
    for row in gates:
        number, memory = Accumulate().step(row, memory)
        numbers.append(number)
    for column, number in zip(gates.T, np.stack(numbers).T, strict=True):
        left, expected = 1.0, len(column)
        for index, mass in enumerate(marginals(column)[:-1]):
            if abs(mass / left - 0.5) < 1e-9:
                return  # on the edge rounding decides
            if mass / left >= 0.5:
                expected = index
                break
            left -= mass
        fires = np.flatnonzero(number >= 1.0)
        assert (fires[0] if fires.size else len(column)) == expected


@given(named=st.lists(st.integers(0, 2), min_size=1, max_size=8), patience=st.integers(0, 4))
def test_patience_is_so_many_equal_answers_in_a_row(named: list[int], patience: int) -> None:
    """S3: a count of t is reached at the first exit that ends t + 1 equal answers."""
    memory, leaves = Patience().start(1), len(named)
    for index, one in enumerate(named):
        count, memory = Patience().step(np.array([float(one)]), memory)
        if count[0] >= patience:
            leaves = index
            break
    runs = (i for i in range(patience, len(named)) if len(set(named[i - patience : i + 1])) == 1)
    assert leaves == next(runs, len(named))


@pytest.mark.parametrize("name", sorted(NAMES))
@given(seed=st.integers(0, 30), enabled=st.lists(st.booleans(), min_size=4, max_size=4), share=st.floats(0, 1))
def test_replay_decides_as_each_sample_would_alone_over_the_exits_that_are_on(
    name: str, seed: int, enabled: list[bool], share: float
) -> None:
    table = replace(random_table(seed, exits=5, samples=12, levels=4), rule=name)
    numbers = decisive(table, enabled)[:-1]
    threshold = float(np.sort(numbers.ravel())[round(share * (numbers.size - 1))])
    found = replay(table, Configuration(tuple(enabled), (threshold,) * 4)).exit_index
    for sample in range(table.samples):
        before: list[float] = []
        expected = 4
        for index in np.flatnonzero(enabled):
            score = float(table.score[index, sample])
            if runtime.decisive(name, before, score) >= threshold - 1e-12:
                expected = int(index)
                break
            before.append(score)
        assert found[sample] == expected


def test_exits_that_are_off_leave_no_trace() -> None:
    table = replace(random_table(0, exits=4, levels=3), rule="accumulate")
    with_hole = decisive(table, [True, False, True])
    np.testing.assert_array_equal(with_hole[2], 2 * table.score[2] + table.score[0])
    np.testing.assert_array_equal(with_hole[1], table.score[1])


def test_an_unknown_rule_is_refused_by_name() -> None:
    with pytest.raises(UnknownNameError, match="expected a rule among direct, accumulate, patience; got 'guess'"):
        rule("guess")
