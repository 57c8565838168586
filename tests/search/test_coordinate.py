from itertools import pairwise, product

import numpy as np
import pytest

from offramp.decide.pareto import hypervolume
from offramp.decide.replay import above_backbone, excess, operating_point
from offramp.search.coordinate import Coordinate
from offramp.search.searcher import Searcher
from offramp.testing.searchers import SearcherSuite, random_table
from offramp.types import Configuration, ExitTable, Goal
from tests.reference.front import configurations


class TestCoordinate(SearcherSuite):
    @pytest.fixture
    def searcher(self) -> Searcher:
        return Coordinate(lambdas=10)


class TestCoordinateWithFewPoints(SearcherSuite):
    @pytest.fixture
    def searcher(self) -> Searcher:
        return Coordinate(lambdas=6, points=4)


def measured(table: ExitTable, found: list[Configuration]) -> tuple[np.ndarray, np.ndarray]:
    points = [operating_point(above_backbone(table), configuration, "") for configuration in found]
    return np.array([p.cost for p in points]), np.array([p.loss for p in points])


@pytest.mark.parametrize(("seed", "exits", "levels"), [(s, 3, 25) for s in range(6)] + [(s, 4, 10) for s in range(6)])
def test_comes_within_a_hundredth_of_the_exact_front(seed: int, exits: int, levels: int) -> None:
    table = random_table(seed, exits=exits, samples=150, levels=levels)
    cost, loss = measured(table, list(configurations(table)))
    worst_loss = float(loss[cost.argmin()]) * 1.05
    exact = hypervolume(cost, loss, worst_cost=1.0, worst_loss=worst_loss)
    path = Coordinate().search(table, Goal(0.02))
    found = hypervolume(*measured(table, path), worst_cost=1.0, worst_loss=worst_loss)
    assert 0.99 * exact <= found <= exact * (1 + 1e-9)


def test_the_path_is_a_front_in_excess_loss() -> None:
    table = random_table(3, exits=5, risk="error")
    path = Coordinate().search(table, Goal(0.02))
    loss = [excess(table, configuration).mean() for configuration in path]
    assert loss[0] == 0.0
    assert all(before < after for before, after in pairwise(loss[1:]))


def test_another_seed_searches_in_another_order() -> None:
    table = random_table(3, exits=8, samples=300)
    one, other = (Coordinate(lambdas=3, rounds=1, seed=seed).search(table, Goal(0.02)) for seed in (0, 1))
    assert one != other


def test_more_rounds_find_more() -> None:
    area = {1: 0.0, 3: 0.0}
    for seed, rounds in product(range(4), area):
        table = random_table(seed, exits=8, samples=200)
        found = measured(table, Coordinate(lambdas=3, rounds=rounds).search(table, Goal(0.02)))
        area[rounds] += hypervolume(*found, worst_cost=1.0, worst_loss=0.2)
    assert area[3] > area[1]
