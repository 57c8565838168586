"""The grid of speed, of models whose parts take known times."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offramp.errors import InputError
from offramp.run.tuning import MARGIN
from offramp.speed import OFF, PLANNED, UNCUT, Backend, SpeedRow, grid
from offramp.types import Configuration, CostProfile
from tests.run.clocked import Parts, clocked, leaving

FIRST = Configuration((True, False), (0.5, 1.0))
BOTH = Configuration((True, True), (0.5, 0.5))
MACS = CostProfile("macs", np.array([25.0, 50.0, 100.0]), np.zeros(3), np.zeros(3))


def parts_of(head: Sequence[float] = (0.01, 0.02), share: float = 1.0, call: float = 0.0) -> Parts:
    return Parts([share * 0.2, share * 0.4, share * 0.4], head, [0.0, 0.0], [0, 1], call)


def rounds_of(size: int, rounds: int = 6) -> dict[int, list[list[np.ndarray]]]:
    counts = [size // 2, size // 4, size - size // 2 - size // 4]
    return {size: [[leaving(counts)] * 2] * rounds}


def timed(
    monkeypatch: pytest.MonkeyPatch,
    backends: Mapping[str, Parts],
    points: Mapping[str, Configuration],
    rounds: Mapping[int, Sequence[Sequence[np.ndarray]]],
    promises: Mapping[str, float] | None = None,
    plain: Sequence[str] = (),
) -> list[SpeedRow]:
    """The grid; all back ends spend the time of one clock."""
    clock = next(iter(backends.values())).clock
    clocked(monkeypatch, clock)
    asked = [Backend(name, "f32", replace(parts, clock=clock).make, name in plain) for name, parts in backends.items()]
    return grid(asked, points, [0, 1], MACS, rounds, 1, promises)


def row(rows: Sequence[SpeedRow], point: str, backend: str = "a", batch: int = 8) -> SpeedRow:
    (found,) = [one for one in rows if (one.backend, one.point, one.batch) == (backend, point, batch)]
    return found


def test_a_row_says_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of eight samples four leave after 0.21 s, two after 0.63 s, two after 1.03 s; 1 s uncut."""
    rows = timed(monkeypatch, {"a": parts_of()}, {"both": BOTH, "first": FIRST}, rounds_of(8))
    assert [one.point for one in rows] == [UNCUT, OFF, "both", "first", f"both, {PLANNED}", f"first, {PLANNED}"]
    both, off, plain = row(rows, "both"), row(rows, OFF), row(rows, UNCUT)
    assert plain.ms == pytest.approx(8000.0)
    assert off.ratio_to_uncut == pytest.approx(1.03)
    assert off.ideal_ratio == 1.0
    assert both.ratio_to_uncut == pytest.approx((4 * 0.21 + 2 * 0.63 + 2 * 1.03) / 8)
    assert both.ideal_ratio == pytest.approx((4 * 0.25 + 2 * 0.5 + 2) / 8)
    assert both.achieved == pytest.approx((1 - both.ratio_to_uncut) / (1 - both.ideal_ratio))
    left = (4 * 0.21 + 2 * 0.63) / 6
    assert both.break_even == pytest.approx(0.03 / (1.03 - left))
    assert row(rows, "first").break_even == pytest.approx(0.01 / (1.01 - 0.21))
    assert [one.break_even for one in (plain, off, row(rows, f"both, {PLANNED}"))] == [None] * 3
    assert plain.achieved is None
    assert (plain.ratio_to_uncut, plain.ratio_to_best, plain.noise) == (1.0, 1.0, 0.0)
    assert {one.precision for one in rows} == {"f32"}


def test_percentiles_are_of_single_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two thirds of the rounds are timed: 20 batches, of which in one, and then in two, nobody leaves early."""
    alike = [leaving([8, 0, 0])] * 2
    rounds = {8: [*[alike] * 5, *[alike] * 8, [leaving([8, 0, 0]), leaving([0, 0, 8])], [leaving([0, 0, 8])] * 2]}
    found = row(timed(monkeypatch, {"a": parts_of()}, {"first": FIRST}, rounds), "first")
    quick, slow = 1000 * 8 * 0.21, 1000 * 8 * 1.01
    times = [quick] * 17 + [slow] * 3
    assert found.p50 == pytest.approx(quick)
    assert (found.p95, found.p99) == pytest.approx((slow, slow))
    assert found.ms == pytest.approx(quick)
    assert len(times) == 2 * (len(rounds[8]) - len(rounds[8]) // 3)


def test_the_first_third_of_the_rounds_plans_and_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """There nobody leaves, so the uncut model is planned; what is timed is what comes later."""
    rounds = {8: [*[[leaving([0, 0, 8])]] * 2, *[[leaving([8, 0, 0])]] * 4]}
    rows = timed(monkeypatch, {"a": parts_of()}, {"first": FIRST}, rounds)
    assert row(rows, "first").ratio_to_uncut == pytest.approx(0.21)
    assert row(rows, "first").ideal_ratio == pytest.approx(0.25)
    assert row(rows, f"first, {PLANNED}").ratio_to_uncut == 1.0
    assert row(rows, f"first, {PLANNED}").ideal_ratio == 1.0


def test_times_are_compared_with_the_fastest_plain_model_at_the_same_batch_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second back end takes half the time but for calls, so it is slower on one sample and faster on eight."""
    slow, quick, bare = parts_of(), parts_of(share=0.5, call=1.0), parts_of(share=0.9)
    rounds = rounds_of(1) | rounds_of(8)
    rows = timed(monkeypatch, {"a": slow, "b": quick, "c": bare}, {"both": BOTH}, rounds, plain=["c"])
    assert {one.point for one in rows if one.backend == "c"} == {UNCUT}
    for batch, fastest, ms in ((1, "c", 900.0), (8, "b", 5000.0)):
        assert row(rows, UNCUT, fastest, batch).ms == pytest.approx(ms)
        for one in rows:
            if one.batch == batch:
                assert one.ratio_to_best == pytest.approx(one.ms / ms)
        assert row(rows, UNCUT, fastest, batch).ratio_to_best == 1.0


times = st.lists(st.floats(0.0, 0.6), min_size=2, max_size=2)
shares = st.lists(st.integers(0, 4), min_size=3, max_size=3).filter(any)
bounds = st.dictionaries(st.sampled_from(["both", "first"]), st.sampled_from([0.01, 0.02]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(head=times, counts=shares, call=st.floats(0.0, 0.5), promises=bounds)
def test_what_is_planned_is_never_slower(
    head: list[float], counts: list[int], call: float, promises: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Than the uncut model, nor than the point itself but for the margin; and it breaks no promise."""
    points = {"both": BOTH, "first": FIRST}
    batch = leaving(counts)
    with monkeypatch.context() as patched:
        rows = timed(patched, {"a": parts_of(head, call=call)}, points, {len(batch): [[batch]] * 6}, promises)
    time = {one.point: one.ratio_to_uncut for one in rows}
    for name in points:
        allowed = [1.0, time[name]]
        if name in promises:
            allowed += [time[other] for other in promises if promises[other] <= promises[name]]
        planned = time[f"{name}, {PLANNED}"]
        assert planned <= 1.0 + 1e-9
        assert planned * (1 - MARGIN) <= time[name] + 1e-9
        assert min(abs(planned - one) for one in allowed) < 1e-9
        assert planned * (1 - MARGIN) <= min(allowed) + 1e-9


def test_a_plain_back_end_alone_and_points_without_exits(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = timed(monkeypatch, {"a": parts_of()}, {}, rounds_of(4), plain=["a"])
    assert [(one.point, one.ratio_to_best) for one in rows] == [(UNCUT, 1.0)]
    rows = timed(monkeypatch, {"a": parts_of()}, {"full": Configuration.full(2)}, rounds_of(8))
    assert {one.ratio_to_uncut for one in rows} == {1.0}
    assert row(rows, "full").break_even is None


def test_three_rounds_are_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="at least 4 rounds"):
        timed(monkeypatch, {"a": parts_of()}, {"both": BOTH}, rounds_of(8, rounds=3))
    assert timed(monkeypatch, {"a": parts_of()}, {"both": BOTH}, rounds_of(8, rounds=4))
