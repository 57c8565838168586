import dataclasses
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.decide.replay import above_backbone, excess, operating_point
from offramp.decide.saving import subset_score
from offramp.search.searcher import Searcher
from offramp.search.tolerance import OptimisedBudget, ToleranceBudget
from offramp.testing.searchers import SearcherSuite, random_table
from offramp.types import Configuration, ExitTable, Goal
from tests.reference.tolerance import charged, least_cost
from tests.tables import cases, tables

GOALS = st.sampled_from([0.05, 0.2, 0.5, 1.0]).map(Goal)


class TestHalving(SearcherSuite):
    @pytest.fixture
    def searcher(self) -> Searcher:
        return ToleranceBudget()


class TestEqualShares(SearcherSuite):
    @pytest.fixture
    def searcher(self) -> Searcher:
        return ToleranceBudget(halving=False)


class TestOptimised(SearcherSuite):
    @pytest.fixture
    def searcher(self) -> Searcher:
        return OptimisedBudget()


class TestOptimisedChargedOnce(SearcherSuite):
    @pytest.fixture
    def searcher(self) -> Searcher:
        return OptimisedBudget(once=True)


class TestOptimisedWithFewLevels(SearcherSuite):
    @pytest.fixture
    def searcher(self) -> Searcher:
        return OptimisedBudget(levels=3)


def subsets(configuration: Configuration) -> list[Configuration]:
    choices = [(False, True) if on else (False,) for on in configuration.enabled]
    return [dataclasses.replace(configuration, enabled=flags) for flags in product(*choices)]


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


@given(cases(binary=False))
def test_lower_thresholds_hit_more_and_never_disagree_less(case: tuple[ExitTable, Configuration]) -> None:
    """HR and HR (1 - CA) of each exit rise as its threshold falls. CA itself may go either way."""
    table, _ = case
    lost = above_backbone(table).loss
    for e in range(table.exits - 1):
        hits = [table.score[e] >= t for t in np.unique(table.score[e])[::-1]]
        for before, after in pairwise(hits):
            assert before.sum() < after.sum()
            assert lost[e][before].sum() <= lost[e][after].sum()


@given(tables(binary=False), GOALS, st.booleans())
def test_optimised_budgets_keep_the_tolerance_for_every_subset(table: ExitTable, goal: Goal, once: bool) -> None:
    found = OptimisedBudget(once).search(table, goal)[-1]
    assert charged(table, found, once=once) <= goal.max_drop + 1e-12
    for subset in subsets(found):
        assert excess(table, subset).mean() <= charged(table, subset, once=once) + 1e-12


@given(tables(), GOALS)
def test_optimised_budgets_save_no_less_than_those_of_the_paper(table: ExitTable, goal: Goal) -> None:
    def saved(searcher: Searcher) -> float:
        return subset_score(table, searcher.search(table, goal)[-1])

    of_the_paper = max(saved(ToleranceBudget(halving)) for halving in (True, False))
    assert saved(OptimisedBudget()) >= of_the_paper - 1e-6 * table.cost.backbone
    assert saved(OptimisedBudget(once=True)) >= 0.0


@given(tables(max_exits=3, binary=False), GOALS, st.booleans())
def test_of_two_exits_the_optimised_budgets_are_the_best_there_are(table: ExitTable, goal: Goal, once: bool) -> None:
    found = OptimisedBudget(once).search(table, goal)[-1]
    best = least_cost(table, goal.max_drop, once=once)
    assert operating_point(table, found, "").cost <= best + 1e-6


@pytest.mark.parametrize("once", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_of_three_exits_they_save_within_a_hundredth_of_all_there_is(seed: int, once: bool) -> None:
    table = random_table(seed, exits=4, samples=40, levels=8)
    for tolerance in (0.05, 0.15):
        found = OptimisedBudget(once).search(table, Goal(tolerance))[-1]
        best = least_cost(table, tolerance, once=once)
        saved = 1.0 - operating_point(table, found, "").cost
        assert 0.99 * (1.0 - best) <= saved + 1e-12
        assert saved <= 1.0 - best + 1e-12


def test_charging_once_leaves_room_for_more() -> None:
    """Both exits are surest of sample 9 and wrong on it; each is wrong on one more, in the middle of the others."""
    table = random_table(0, exits=3, samples=10)
    table.score[0], table.score[1] = np.linspace(0.9, 0.0, 10), np.linspace(0.0, 0.9, 10)
    table.score[:-1, 9] = 1.0
    table.loss[:-1] = 0.0
    table.loss[:-1, 9] = table.loss[0, 4] = table.loss[1, 3] = 1.0
    twice, once = (OptimisedBudget(flag).search(table, Goal(0.1))[-1] for flag in (False, True))
    assert (charged(table, once, once=True), charged(table, once, once=False)) == (0.1, 0.2)
    assert subset_score(table, once) > subset_score(table, twice)


@given(st.integers(0, 200), st.sampled_from([0.01, 0.05, 0.2]))
def test_without_a_subset_all_exits_with_a_threshold_are_on(seed: int, tolerance: float) -> None:
    table, goal = random_table(seed, exits=6), Goal(tolerance)
    every = ToleranceBudget().thresholds(table, goal)
    found = ToleranceBudget(subset=False).search(table, goal)[-1]
    assert found in (every, Configuration.full(5))
    assert (found == every) == (operating_point(table, every, "").cost < 1.0)
    best = ToleranceBudget().search(table, goal)[-1]
    assert operating_point(table, best, "").cost <= operating_point(table, found, "").cost + 1e-12
