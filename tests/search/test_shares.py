from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.decide.replay import operating_point, replay
from offramp.search.searcher import Searcher
from offramp.search.shares import GeometricShares, OptimisedShares, _Descent, _Takers, counts
from offramp.testing.searchers import SearcherSuite, random_table
from offramp.types import ExitTable, Goal
from tests.reference.shares import divisions, left, mean_loss_and_cost
from tests.tables import tables


class TestGeometric(SearcherSuite):
    @pytest.fixture
    def searcher(self) -> Searcher:
        return GeometricShares()


class TestOptimised(SearcherSuite):
    @pytest.fixture
    def searcher(self) -> Searcher:
        return OptimisedShares()


class TestOptimisedCoarsely(SearcherSuite):
    @pytest.fixture
    def searcher(self) -> Searcher:
        return OptimisedShares(parts=3, budgets=5)


@given(tables(binary=False), st.data())
def test_samples_leave_as_one_after_another_would(table: ExitTable, data: st.DataObject) -> None:
    numbers = data.draw(st.lists(st.integers(0, table.samples), min_size=table.exits - 1, max_size=table.exits - 1))
    configuration, loss, cost = _Takers(table).take(numbers)
    assert replay(table, configuration).exit_index.tolist() == left(table, numbers)
    assert (loss, cost) == pytest.approx(mean_loss_and_cost(table, numbers))


@pytest.mark.parametrize("ratio", [0.05, 0.5, 1.0, 1.95])
def test_geometric_shares_are_those_of_the_sweep(ratio: float) -> None:
    """Without ties each exit gets its whole number of samples, and the last what is left."""
    table = random_table(3, exits=5, samples=200)
    point = operating_point(table, _Takers(table).take(counts(ratio, table))[0], "")
    weight = ratio ** np.arange(5)
    wanted = np.floor(weight / weight.sum() * 200 + 1e-9) / 200
    assert point.exit_share[:-1] == pytest.approx(wanted[:-1].tolist())


def test_small_ratios_leave_early_and_large_ones_late() -> None:
    table = random_table(3, exits=5, samples=200)
    shares = [operating_point(table, _Takers(table).take(counts(q, table))[0], "").exit_share for q in (0.2, 1.0, 1.9)]
    first, last = [share[0] for share in shares], [share[-1] for share in shares]
    assert all(before > after for before, after in pairwise(first))
    assert all(before < after for before, after in pairwise(last))


@pytest.mark.parametrize("risk", ["disagreement", "error"])
def test_mostly_finds_the_best_of_all_divisions(risk: str) -> None:
    """Three exits, ten parts, and fifteen budgets, each kept."""
    gaps = []
    for seed in range(4):
        table = random_table(seed, exits=4, samples=60, risk=risk)
        every = np.array([mean_loss_and_cost(table, [6 * n for n in shares[:-1]]) for shares in divisions(4, 10)])
        descent = _Descent(_Takers(table), 10)
        here: tuple[int, ...] = (0, 0, 0, 10)
        for budget in np.linspace(1.0, 0.3, 15):
            here = descent.within(here, float(budget) + 1e-12)
            _, loss, cost = descent.at(here)
            assert cost <= budget + 1e-9
            gaps.append(loss - every[every[:, 1] <= budget + 1e-12, 0].min())
    assert min(gaps) >= -1e-12
    assert np.mean(np.array(gaps) < 1e-9) > 0.7
    assert np.mean(gaps) < 0.01


@given(tables(binary=False), st.sampled_from([1.0, 0.8, 0.5]))
def test_a_budget_is_kept_or_at_least_nothing_gets_dearer(table: ExitTable, budget: float) -> None:
    parts = min(4, table.samples)
    descent, start = _Descent(_Takers(table), parts), (0,) * (table.exits - 1) + (parts,)
    found = descent.within(start, budget)
    assert sum(found) == parts
    assert descent.cost(found) <= max(budget, descent.cost(start))


def test_more_budgets_give_a_longer_path() -> None:
    table = random_table(3, exits=5, samples=200)
    few, many = (OptimisedShares(budgets=n).search(table, Goal(0.02)) for n in (3, 30))
    assert 1 < len(few) <= 4 < len(many) <= 31
