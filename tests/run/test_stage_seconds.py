"""Seconds of stages and exits, of a made-up model whose parts take known times."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.run.loop import stops_of
from offramp.run.stage_seconds import seconds, stage_seconds
from offramp.run.timing import WARM_UP
from tests.run.clocked import Clock, Parts

TIMES = st.integers(1, 1000).map(float)


@st.composite
def models(draw: st.DrawFn) -> Parts:
    """One to six places with one to three exits each."""
    exits_at = draw(st.lists(st.integers(1, 3), min_size=1, max_size=6))
    point_of = [place for place, count in enumerate(exits_at) for _ in range(count)]

    def times(count: int) -> list[float]:
        return draw(st.lists(TIMES, min_size=count, max_size=count))

    return Parts(times(len(exits_at) + 1), times(len(point_of)), times(len(exits_at)), point_of)


def rounds_of(parts: Parts, size: int, rounds: int = 5) -> list[np.ndarray]:
    return [np.ones((size, len(parts.point_of)))] * rounds


@given(parts=models(), size=st.integers(1, 5))
def test_every_exit_is_charged_what_its_heads_and_its_cut_take(parts: Parts, size: int) -> None:
    """The exits of a place share what is spent there; the backbone is charged its segments alone."""
    found = seconds(parts.make, parts.point_of, rounds_of(parts, size), "abacus", parts.clock)
    places = range(len(parts.cut))
    here = [[e for e, place in enumerate(parts.point_of) if place == p] for p in places]
    spent = [parts.cut[p] + sum(parts.head[e] for e in here[p]) for p in places]
    assert found.upto == pytest.approx([*(sum(parts.segment[: p + 1]) for p in parts.point_of), parts.whole], rel=1e-9)
    assert found.head == pytest.approx([*(spent[p] / len(here[p]) for p in parts.point_of), 0.0], rel=1e-9)
    assert not found.gate.any()
    assert (found.unit, found.device, found.batch_size) == ("s", "abacus", size)


@given(parts=models())
def test_leaving_with_all_exits_costs_what_the_stages_took(parts: Parts) -> None:
    """What the search will reckon with is what a run with all exits takes."""
    everyone = (True,) * len(parts.point_of)
    stops = stops_of(everyone, parts.point_of)
    stages = stage_seconds(parts.make(everyone), stops, np.ones((2, len(everyone))), parts.clock) / 2
    cost = seconds(parts.make, parts.point_of, rounds_of(parts, 2), clock=parts.clock).leaving(np.array(everyone))
    last = [exits[-1] for exits in stops]
    assert cost[[*last, -1]] == pytest.approx(np.cumsum(stages), rel=1e-9)


@given(parts=models(), data=st.data())
def test_whatever_the_clock_says_the_costs_can_be_used(parts: Parts, data: st.DataObject) -> None:
    """On a machine with other work stages take any time; a cost still never falls with depth, nor is it negative."""
    steps = data.draw(st.lists(st.floats(1e-6, 10.0), min_size=8, max_size=60))
    turn = iter(steps * 1000)
    now = Clock()

    def clock() -> float:
        now.now += next(turn)
        return now.now

    found = seconds(parts.make, parts.point_of, rounds_of(parts, 3), clock=clock)
    assert (np.diff(found.upto) >= 0).all()
    assert (found.head >= 0).all()
    assert 0 <= found.upto[0] <= found.upto[-1]
    assert found.head[-1] == 0


def test_the_last_cost_is_that_of_the_uncut_model() -> None:
    """Not that of the stages, whose sum is larger."""
    parts = Parts([2.0, 3.0], [50.0], [70.0], [0])
    found = seconds(parts.make, [0], rounds_of(parts, 4), clock=parts.clock)
    assert found.backbone == 5.0
    parts.calls.clear()
    assert stage_seconds(parts.make((True,)), (), np.ones((4, 1)), parts.clock).tolist() == [20.0]
    assert parts.calls == [None]


def test_a_round_in_which_the_machine_was_busy_changes_nothing() -> None:
    """Medians are taken; the first rounds run once more beforehand and do not count."""
    parts, rounds = Parts([2.0, 3.0, 4.0], [1.0, 1.0], [0.5, 0.5], [0, 1]), 5
    cuts = 4  # ways to cut, in turn

    def busy() -> Iterator[float]:
        for run in range(cuts * (WARM_UP + rounds)):
            yield 100.0 if run < cuts * WARM_UP or run // cuts == WARM_UP + 2 else 1.0

    slow, expected = busy(), seconds(parts.make, [0, 1], rounds_of(parts, 1, rounds), clock=parts.clock)

    class Busy:
        """Each run of it may be slow."""

        def __init__(self, enabled: tuple[bool, ...]) -> None:
            self.inner = parts.make(enabled)
            self.samples = self.inner.samples

        def drive(self, *given: object) -> object:
            parts.clock.now += next(slow) - 1.0
            return self.inner.drive(*given)  # type: ignore[arg-type]

        def whole(self, inputs: np.ndarray) -> object:
            parts.clock.now += next(slow) - 1.0
            return self.inner.whole(inputs)

    found = seconds(Busy, [0, 1], rounds_of(parts, 1, rounds), clock=parts.clock)  # type: ignore[arg-type]
    assert found.upto == pytest.approx(expected.upto, rel=1e-12)
    assert found.head == pytest.approx(expected.head, rel=1e-12)
    assert next(slow, None) is None
