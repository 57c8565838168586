import dataclasses
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.decide.replay import above_backbone, excess, operating_point
from offramp.search.searcher import Searcher
from offramp.search.shared import TARGETS, SharedThreshold, curve
from offramp.testing.searchers import SearcherSuite, random_table
from offramp.types import Configuration, ExitTable, Goal
from tests.reference.replay import mean_loss_and_cost
from tests.tables import cases


class TestExhaustive(SearcherSuite):
    @pytest.fixture
    def searcher(self) -> Searcher:
        return SharedThreshold()


class TestElimination(SearcherSuite):
    @pytest.fixture
    def searcher(self) -> Searcher:
        return SharedThreshold(max_exhaustive=0)


def shared(enabled: tuple[bool, ...], threshold: float) -> Configuration:
    return Configuration(enabled, (float(threshold),) * len(enabled))


@given(cases(binary=False), st.sampled_from([np.float32, np.float64]))
def test_the_curve_is_the_replay_at_each_threshold(
    case: tuple[ExitTable, Configuration], dtype: type[np.floating]
) -> None:
    table, configuration = case
    table = dataclasses.replace(table, score=table.score.astype(dtype))
    found = curve(table, np.array(configuration.enabled, dtype=bool))
    assert (np.diff(found.threshold) < 0).all()
    for threshold, loss, cost in zip(found.threshold, found.loss, found.cost, strict=True):
        expected = mean_loss_and_cost(table, shared(configuration.enabled, threshold))
        assert (loss, cost) == (pytest.approx(expected[0]), pytest.approx(expected[1]))


@given(cases(binary=False), st.floats(-0.5, 1.5))
def test_the_curve_leaves_out_no_threshold(case: tuple[ExitTable, Configuration], threshold: float) -> None:
    table, configuration = case
    found = curve(table, np.array(configuration.enabled, dtype=bool))
    loss, cost = mean_loss_and_cost(table, shared(configuration.enabled, threshold))
    never = mean_loss_and_cost(table, shared(configuration.enabled, np.inf))
    met = [never, *zip(found.loss, found.cost, strict=True)]
    assert any(loss == pytest.approx(one[0]) and cost == pytest.approx(one[1]) for one in met)


def merit(table: ExitTable, enabled: tuple[bool, ...], goal: Goal) -> float:
    """Walks down all scores; the cost reached before the excess loss first passes each target."""
    reached = []
    for target in np.array(TARGETS) * goal.max_drop:
        best = 1.0
        for threshold in np.unique(table.score[:-1])[::-1]:
            if excess(table, shared(enabled, threshold)).mean() > target:
                break
            best = min(best, mean_loss_and_cost(table, shared(enabled, threshold))[1])
        reached.append(best)
    return float(np.mean(reached))


@pytest.mark.parametrize("seed", range(4))
def test_no_subset_serves_better(seed: int) -> None:
    table, goal = random_table(seed, exits=4, samples=30), Goal(0.05)
    chosen = SharedThreshold().search(table, goal)[-1].enabled
    all_subsets = [(round(merit(table, flags, goal), 12), sum(flags)) for flags in product((False, True), repeat=3)]
    assert (round(merit(table, chosen, goal), 12), sum(chosen)) == min(all_subsets)


@pytest.mark.parametrize("seed", range(4))
def test_elimination_is_nearly_as_good_as_trying_all(seed: int) -> None:
    table, goal = random_table(seed, exits=7, samples=60), Goal(0.05)
    exact = merit(table, SharedThreshold().search(table, goal)[-1].enabled, goal)
    greedy = merit(table, SharedThreshold(max_exhaustive=0).search(table, goal)[-1].enabled, goal)
    assert exact <= greedy <= exact + 0.02


@pytest.mark.parametrize("points", [2, 7, 40, 10_000])
def test_the_path_is_nested_ordered_and_short(points: int) -> None:
    table, goal = random_table(3, exits=5, samples=400), Goal(0.02)
    path = SharedThreshold(points=points).search(table, goal)[1:]
    assert 0 < len(path) < points
    assert len({configuration.enabled for configuration in path}) == 1
    thresholds = [max(t for t, on in zip(c.threshold, c.enabled, strict=True) if on) for c in path]
    assert all(before > after for before, after in pairwise(thresholds))


def test_half_of_the_path_lies_around_the_goal_and_the_rest_reaches_the_cheapest() -> None:
    table, goal = random_table(3, exits=5, samples=2000), Goal(0.02)
    path = SharedThreshold(points=40).search(table, goal)
    near = sum(excess(table, configuration).mean() <= 2 * goal.max_drop for configuration in path)
    assert near >= 20
    enabled = np.array(path[-1].enabled)
    assert operating_point(table, path[-1], "").cost == pytest.approx(curve(above_backbone(table), enabled).cost[-1])


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("risk", ["disagreement", "error"])
def test_the_path_meets_the_goal_as_closely_as_any_threshold_on_the_subset(seed: int, risk: str) -> None:
    table, goal = random_table(seed, exits=5, samples=1000, risk=risk), Goal(0.02)
    path = SharedThreshold().search(table, goal)
    loss = [excess(table, configuration).mean() for configuration in path]
    last = next((i for i, one in enumerate(loss) if one > goal.max_drop), len(path)) - 1
    whole = curve(above_backbone(table), np.array(path[-1].enabled))
    within = np.maximum.accumulate(whole.loss) <= goal.max_drop
    # The path may do better: thinning can step over a threshold at which the loss is above the goal for a moment.
    assert operating_point(table, path[last], "").cost <= whole.cost[within].min() + 1e-6


@pytest.mark.parametrize("max_exhaustive", [0, 10])
def test_an_exit_that_serves_nobody_stays_off_even_if_it_is_free(max_exhaustive: int) -> None:
    table = random_table(0, exits=5, samples=200)
    table.score[1] = 0.0
    table.cost.head[1] = table.cost.gate[1] = 0.0
    assert not SharedThreshold(max_exhaustive).search(table, Goal(0.02))[-1].enabled[1]
