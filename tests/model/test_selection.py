import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.errors import InputError, UnknownNameError
from offramp.model.selection import select, spread
from offramp.types import ExitPoint

LINE = [ExitPoint(f"b{index}", index, (8,), (index + 1) / 10) for index in range(9)]


@given(st.lists(st.floats(0.01, 0.98), min_size=1, max_size=30, unique=True), st.integers(1, 12))
def test_spread_points_are_some_of_the_points_in_order(depths: list[float], most: int) -> None:
    points = [ExitPoint(str(i), i, (8,), depth) for i, depth in enumerate(sorted(depths))]
    chosen = spread(points, most)
    assert 1 <= len(chosen) <= most
    assert list(chosen) == [point for point in points if point in chosen]
    if len(points) <= most:
        assert list(chosen) == points


def test_of_equally_near_points_the_smaller_feature_is_taken() -> None:
    points = [ExitPoint("big", 0, (64,), 0.4), ExitPoint("small", 1, (8,), 0.6)]
    assert [point.name for point in spread(points, 1)] == ["small"]


@pytest.mark.parametrize(
    ("wish", "indices"),
    [
        ("b3", [3]),
        ("b7, 1,b3", [1, 3, 7]),
        ("4,b4", [4]),
        ("every:1", list(range(9))),
        ("every:3", [2, 5, 8]),
        ("share:0.5", [4]),
        ("share:0.97,0.21,0.2", [1, 8]),
        (None, [1, 4, 6]),
    ],
)
def test_wishes(wish: str | None, indices: list[int]) -> None:
    assert [point.index for point in select(LINE, wish, 3)] == indices


@pytest.mark.parametrize("wish", ["every:x", "every:", "share:", "share:half", "every:0", "every:10"])
def test_wishes_that_cannot_be_read_are_refused(wish: str) -> None:
    with pytest.raises(InputError, match=r"expected (names, indices|every:K)"):
        select(LINE, wish, 3)


@pytest.mark.parametrize("wish", ["share:nan", "share:5", "share:0.5,-1", "share:1"])
def test_shares_outside_the_model_are_refused(wish: str) -> None:
    with pytest.raises(InputError, match="expected shares of the cost between 0 and 1"):
        select(LINE, wish, 3)


@pytest.mark.parametrize("wish", ["b9", "9", "b1,nowhere", "", "-1"])
def test_unknown_points_list_the_known_ones(wish: str) -> None:
    with pytest.raises(UnknownNameError, match="expected an exit point among b0, b1"):
        select(LINE, wish, 3)
