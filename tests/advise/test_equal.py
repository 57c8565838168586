"""Costs at equal quality, computed by hand."""

import pytest

from offramp.advise.equal import cost_at, read_off

FAMILY = [(0.940, 1.0), (0.936, 0.7), (0.920, 0.5), (0.880, 0.3)]


@pytest.mark.parametrize(
    ("quality", "cost"),
    [
        (0.936, 0.7),
        (0.928, 0.6),  # half of the way from .920 to .936
        (0.939, 0.925),  # three quarters from .936 to .940
        (0.900, 0.4),
        (0.880, 0.3),
        (0.500, 0.3),
        (0.941, None),
    ],
)
def test_between_two_points_lies_the_mix_of_both(quality: float, cost: float | None) -> None:
    assert cost_at(FAMILY, quality) == (None if cost is None else pytest.approx(cost))


def test_points_that_others_beat_do_not_count() -> None:
    worse = [*FAMILY, (0.930, 0.9), (0.920, 0.6), (0.870, 0.35)]
    assert [cost_at(worse, q) for q in (0.936, 0.928, 0.9)] == [cost_at(FAMILY, q) for q in (0.936, 0.928, 0.9)]
    assert cost_at([(0.95, 0.2), *FAMILY], 0.94) == 0.2  # better and cheaper than all


def test_one_model_costs_what_it_costs_or_does_not_reach_it() -> None:
    assert cost_at([(0.919, 0.32)], 0.919) == 0.32
    assert cost_at([(0.919, 0.32)], 0.9) == 0.32
    assert cost_at([(0.919, 0.32)], 0.92) is None
    assert cost_at([], 0.5) is None


def test_what_is_read_off_is_one_of_the_points() -> None:
    assert read_off(FAMILY, 0.935) == 0.7
    assert read_off(FAMILY, 0.92) == 0.5
    assert read_off(FAMILY, 0.95) is None
