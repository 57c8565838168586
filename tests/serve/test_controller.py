from itertools import pairwise

import numpy as np
import pytest

from offramp.errors import InputError
from offramp.serve.controller import Controller, Standing, usable
from offramp.serve.deployment import ServedPoint
from offramp.types import Configuration

POINTS = ("full", "balanced", "fast")


def levels(control: Controller, measured: list[float | None]) -> list[int]:
    standing, found = Standing(), []
    for one in measured:
        standing = control.step(standing, one)
        found.append(standing.level)
    return found


def test_it_goes_to_cheaper_points_in_haste_and_back_with_patience() -> None:
    control = Controller(POINTS, "p95", 0.1, haste=2, patience=3)
    assert levels(control, [0.2] * 6) == [0, 1, 1, 2, 2, 2]
    standing = Standing(level=2)
    for measured, level in zip([0.01] * 7, [2, 2, 1, 1, 1, 0, 0], strict=True):
        standing = control.step(standing, measured)
        assert standing.level == level


def test_far_above_the_target_it_takes_the_cheapest_at_once_and_comes_back_step_by_step() -> None:
    control = Controller(("full", "balanced", "fast", "faster"), "p95", 0.1, haste=2, patience=2)
    assert levels(control, [0.21, 0.21, *[0.01] * 6]) == [0, 3, 3, 2, 2, 1, 1, 0]
    assert levels(control, [0.21, 0.15]) == [0, 1], "what counts is how far it is when it moves"


def test_between_room_and_target_nothing_changes_and_counts_begin_anew() -> None:
    control = Controller(POINTS, "queue", 10.0, haste=2, patience=2)
    assert levels(control, [20.0, 8.0, 20.0, 8.0, 20.0, 8.0]) == [0] * 6
    standing = Standing(level=1)
    for measured in (1.0, 8.0, 1.0, 8.0):
        standing = control.step(standing, measured)
    assert standing.level == 1


def test_an_idle_server_returns_to_the_most_accurate_point() -> None:
    control = Controller(POINTS, "p95", 0.1, haste=1, patience=2)
    assert levels(control, [0.2, 0.2, *[None] * 4]) == [1, 2, 2, 1, 1, 0]


def test_it_settles_where_the_target_is_held_and_returns_after_a_peak() -> None:
    """A made-up server: its latency is as its load, and ten times that where the load is more than it can do."""
    control, speed, standing = Controller(POINTS, "p95", 0.1), (1.0, 1.5, 3.0), Standing()
    rng, seen, missed = np.random.default_rng(0), [], 0
    for moment in range(1_500):
        load = 2.0 if 100 <= moment < 1_000 else 0.4
        latency = (
            0.05 * load / speed[standing.level] * rng.normal(1, 0.05) * (10 if load > speed[standing.level] else 1)
        )
        missed += latency > 0.1
        standing = control.step(standing, latency)
        seen.append(standing.level)
    assert seen[:100] == [0] * 100
    assert np.mean(np.array(seen[120:1_000]) == 2) > 0.97
    assert missed < 40
    assert sum(a != b for a, b in pairwise(seen[500:1_000])) <= 8
    assert seen[-1] == 0


def test_points_without_a_certificate_within_the_floor_are_not_used() -> None:
    on, off = Configuration((True,), (0.5,)), Configuration((False,), (0.5,))
    bounds = {"a": 0.01, "b": 0.05, "c": None}
    points = {"full": ServedPoint(off), **{name: ServedPoint(on, bound=bound) for name, bound in bounds.items()}}
    assert usable(points, 0.01) == ("full", "a")
    assert usable(points, 0.05) == ("full", "a", "b")
    assert usable(points, None) == ("full", "a", "b", "c")


@pytest.mark.parametrize(
    "wrong", [{"measure": "mood"}, {"points": ()}, {"target": 0.0}, {"haste": 0}, {"room": 1.0}, {"far": 0.5}]
)
def test_a_controller_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match="expected"):
        Controller(**{"points": POINTS, "measure": "p95", "target": 1.0, **wrong})  # type: ignore[arg-type]
