import dataclasses
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.decide.replay import excess
from offramp.search.searcher import Searcher
from offramp.search.tolerance import ToleranceBudget
from offramp.testing.searchers import SearcherSuite, random_table
from offramp.types import Configuration, ExitTable, Goal
from tests.tables import tables

GOALS = st.sampled_from([0.05, 0.2, 0.5, 1.0]).map(Goal)


class TestHalving(SearcherSuite):
    @pytest.fixture
    def searcher(self) -> Searcher:
        return ToleranceBudget()


class TestEqualShares(SearcherSuite):
    @pytest.fixture
    def searcher(self) -> Searcher:
        return ToleranceBudget(halving=False)


@given(tables(binary=False), GOALS, st.booleans())
def test_every_subset_keeps_the_tolerance(table: ExitTable, goal: Goal, halving: bool) -> None:
    searcher = ToleranceBudget(halving)
    thresholds = searcher.thresholds(table, goal)
    allowed = searcher.budgets(table.exits - 1, goal)
    assert allowed.sum() <= goal.max_drop * (1 + 1e-12)
    for flags in product((False, True), repeat=table.exits - 1):
        enabled = tuple(f and on for f, on in zip(flags, thresholds.enabled, strict=True))
        subset = dataclasses.replace(thresholds, enabled=enabled)
        assert excess(table, subset).mean() <= allowed[list(enabled)].sum() + 1e-12


@given(tables(), GOALS)
def test_no_lower_threshold_is_within_the_budget(table: ExitTable, goal: Goal) -> None:
    searcher = ToleranceBudget()
    thresholds = searcher.thresholds(table, goal)
    lost = np.clip(table.loss - table.loss[-1], 0.0, 1.0)
    for e, budget in enumerate(searcher.budgets(table.exits - 1, goal)):
        within = [t for t in np.unique(table.score[e]) if lost[e][table.score[e] >= t].sum() / table.samples <= budget]
        assert thresholds.enabled[e] == bool(within)
        if within:
            hits = table.score[e] >= thresholds.threshold[e]
            np.testing.assert_array_equal(hits, table.score[e] >= min(within))


def test_budgets_of_the_paper() -> None:
    assert ToleranceBudget().budgets(3, Goal(0.08)).tolist() == [0.04, 0.02, 0.01]
    assert ToleranceBudget(halving=False).budgets(4, Goal(0.08)).tolist() == [0.02] * 4


def test_an_exit_that_disagrees_at_its_surest_stays_off() -> None:
    table = random_table(0, exits=2, samples=10)
    table.loss[0, table.score[0].argmax()] = 1.0
    assert ToleranceBudget().search(table, Goal(0.01)) == [Configuration.full(1)]
