import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.decide.replay import operating_point
from offramp.search.searcher import Searcher
from offramp.search.uniform import Uniform
from offramp.testing.searchers import SearcherSuite, random_table
from offramp.types import Configuration, ExitTable, Goal
from tests.reference.replay import mean_loss_and_cost
from tests.tables import tables


class TestSweep(SearcherSuite):
    @pytest.fixture
    def searcher(self) -> Searcher:
        return Uniform()


class TestGrid(SearcherSuite):
    @pytest.fixture
    def searcher(self) -> Searcher:
        return Uniform(tuple(np.linspace(0.1, 1.0, 40).tolist()))


def everywhere(table: ExitTable, threshold: float) -> Configuration:
    return Configuration((True,) * (table.exits - 1), (threshold,) * (table.exits - 1))


@given(tables(binary=False), st.floats(-0.5, 1.5))
def test_no_threshold_is_better_than_all_that_are_tried(table: ExitTable, threshold: float) -> None:
    """Against a sample-by-sample replay of any other threshold with all exits on."""
    path = Uniform(points=10**6).search(table, Goal(0.02))
    assert all(len(set(one.threshold)) == 1 and all(one.enabled) for one in path[1:])
    loss, cost = mean_loss_and_cost(table, everywhere(table, threshold))
    found = [operating_point(table, one, "") for one in path]
    if cost < 1.0 and table.exits > 1:
        assert any(point.cost <= cost + 1e-9 and point.loss <= loss + 1e-9 for point in found)


def test_a_threshold_that_is_given_is_taken_where_it_saves() -> None:
    table = random_table(0)
    assert Uniform((0.9,)).search(table, Goal(0.02)) == [Configuration.full(3), everywhere(table, 0.9)]
    assert Uniform((2.0,)).search(table, Goal(0.02)) == [Configuration.full(3)]


def test_a_long_sweep_is_thinned_evenly_over_the_cost() -> None:
    table = random_table(1, samples=2000)
    path = Uniform(points=21).search(table, Goal(0.02))
    cost = [operating_point(table, one, "").cost for one in path[1:]]
    assert 10 < len(cost) <= 21
    assert max(-np.diff(cost)) < 3 * (cost[0] - cost[-1]) / 20
