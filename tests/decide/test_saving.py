import dataclasses
from itertools import product

import numpy as np
import pytest
from hypothesis import given

from offramp.decide import saving
from offramp.decide.replay import replay
from offramp.decide.saving import best_subset, subset_score
from offramp.testing.searchers import random_table
from offramp.types import Configuration, ExitTable
from tests.tables import cases


def subsets(configuration: Configuration) -> list[Configuration]:
    choices = [(False, True) if on else (False,) for on in configuration.enabled]
    return [dataclasses.replace(configuration, enabled=flags) for flags in product(*choices)]


@given(cases())
def test_score_is_exactly_what_a_replay_saves(case: tuple[ExitTable, Configuration]) -> None:
    table, configuration = case
    everything = dataclasses.replace(configuration, enabled=(True,) * len(configuration.enabled))
    for subset in subsets(everything):
        spent = replay(table, subset).cost.sum()
        assert subset_score(table, subset) == table.samples * table.cost.backbone - spent


@given(cases())
def test_best_subset_beats_all_others_with_fewest_exits(case: tuple[ExitTable, Configuration]) -> None:
    table, configuration = case
    best = best_subset(table, configuration)
    ranking = [(-subset_score(table, subset), sum(subset.enabled)) for subset in subsets(configuration)]
    assert (-subset_score(table, best), sum(best.enabled)) == min(ranking)
    assert best.threshold == configuration.threshold
    assert all(allowed or not on for on, allowed in zip(best.enabled, configuration.enabled, strict=True))


@given(cases())
def test_no_exit_scores_nothing(case: tuple[ExitTable, Configuration]) -> None:
    table, configuration = case
    assert subset_score(table, Configuration.full(len(configuration.enabled))) == 0.0
    assert subset_score(table, best_subset(table, configuration)) >= 0.0


@pytest.mark.parametrize("seed", range(3))
def test_best_of_a_thousand_subsets_is_the_cheapest_to_replay(seed: int) -> None:
    table = random_table(seed, exits=11, samples=60)
    thresholds = Configuration((True,) * 10, tuple(np.random.default_rng(seed).uniform(0.7, 1.0, 10).tolist()))
    cheapest = min(float(replay(table, subset).cost.sum()) for subset in subsets(thresholds))
    assert replay(table, best_subset(table, thresholds)).cost.sum() == pytest.approx(cheapest)


@pytest.mark.parametrize("seed", range(3))
def test_the_largest_exact_search_is_no_worse_than_a_greedy_one(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    table = random_table(seed, exits=saving.EXACT_UP_TO + 1, samples=200)
    inner = saving.EXACT_UP_TO
    thresholds = Configuration((True,) * inner, tuple(np.random.default_rng(seed).uniform(0.7, 1.0, inner).tolist()))
    exact = subset_score(table, best_subset(table, thresholds))
    monkeypatch.setattr(saving, "EXACT_UP_TO", 0)
    assert subset_score(table, best_subset(table, thresholds)) <= exact


@pytest.mark.parametrize("seed", range(8))
def test_greedy_comes_close_to_exact(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    table = random_table(seed, exits=9, samples=100)
    thresholds = Configuration((True,) * 8, tuple(np.random.default_rng(seed).uniform(0.7, 1.0, 8).tolist()))
    exact = subset_score(table, best_subset(table, thresholds))
    monkeypatch.setattr(saving, "EXACT_UP_TO", 0)
    greedy = subset_score(table, best_subset(table, thresholds))
    assert 0.97 * exact <= greedy <= exact


def test_many_exits_are_searched_greedily_in_reasonable_time() -> None:
    table = random_table(0, exits=31, samples=100)
    best = best_subset(table, Configuration((True,) * 30, (0.95,) * 30))
    assert subset_score(table, best) > subset_score(table, Configuration((True,) * 30, (0.95,) * 30))
