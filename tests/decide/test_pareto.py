import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.decide.pareto import front, hypervolume, nondominated
from offramp.types import Configuration, OperatingPoint
from tests.reference.front import dominated

COARSE = st.integers(0, 6).map(lambda n: n / 4)
PAIRS = st.lists(st.tuples(COARSE, COARSE), max_size=12)


def points(pairs: list[tuple[float, float]]) -> list[OperatingPoint]:
    return [
        OperatingPoint(str(i), Configuration.full(0), loss, cost, (1.0,), "s") for i, (cost, loss) in enumerate(pairs)
    ]


@given(PAIRS)
def test_holds_each_point_that_nothing_dominates_once(pairs: list[tuple[float, float]]) -> None:
    kept = [(point.cost, point.loss) for point in front(points(pairs))]
    assert kept == sorted({pair for pair in pairs if not dominated(pair, pairs)})


@given(PAIRS)
def test_a_front_of_a_front_is_itself(pairs: list[tuple[float, float]]) -> None:
    once = front(points(pairs))
    assert front(once) == once


@given(PAIRS.filter(bool), st.data())
def test_a_dominated_point_changes_nothing(pairs: list[tuple[float, float]], data: st.DataObject) -> None:
    cost, loss = data.draw(st.sampled_from(pairs))
    before = front(points(pairs))
    assert front(points([*pairs, (cost + 0.25, loss)])) == before


def test_the_first_of_equal_points_stays() -> None:
    assert [point.name for point in front(points([(0.5, 0.5), (0.5, 0.5)]))] == ["0"]


@given(PAIRS)
def test_hypervolume_is_the_area_below_the_staircase(pairs: list[tuple[float, float]]) -> None:
    cells = [(x / 4 + 0.125, y / 4 + 0.125) for x in range(4) for y in range(4)]
    covered = sum(any(cost < x and loss < y for cost, loss in pairs) for x, y in cells)
    cost, loss = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
    assert hypervolume(cost, loss, worst_cost=1.0, worst_loss=1.0) == pytest.approx(covered / 16)


def test_no_points_no_front() -> None:
    assert len(front([])) == 0
    assert nondominated(np.zeros(0), np.zeros(0)).size == 0
