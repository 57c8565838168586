"""Which plan is fastest, on models whose parts take known times."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.errors import UnknownNameError
from offramp.run.guard import HORIZON, PROBE
from offramp.run.loop import Plan, run, stops_of
from offramp.run.model import EarlyExitModel
from offramp.run.tuning import MARGIN, SURE, UNCUT, Tuned, fastest, times_of, tuned, uncut
from offramp.run.watched import Watched
from offramp.types import Configuration
from tests.run.clocked import Parts, clocked, leaving

FIRST = Configuration((True, False), (0.5, 1.0))
SECOND = Configuration((False, True), (1.0, 0.5))
BOTH = Configuration((True, True), (0.5, 0.5))
FULL = Configuration.full(2)


def parts_of(head: Sequence[float] = (1.0, 1.0), call: float = 0.0) -> Parts:
    """A backbone of 100 s a sample with exits after 20 and 60 s."""
    return Parts([20.0, 40.0, 40.0], head, [0.0, 0.0], [0, 1], call)


def plan_of(parts: Parts, configuration: Configuration) -> Plan:
    stops = stops_of(configuration.enabled, parts.point_of)
    return Plan(configuration, stops, parts.make(configuration.enabled))


def plans_of(parts: Parts, **points: Configuration) -> dict[str, Plan]:
    return {name: plan_of(parts, configuration) for name, configuration in points.items()}


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Parts:
    made = parts_of()
    clocked(monkeypatch, made.clock)
    return made


def test_ratios_are_those_of_the_times(parts: Parts) -> None:
    """Of ten samples four leave at the first exit, two at the second."""
    rounds = [[leaving([4, 2, 4])]] * 5
    found = tuned(plans_of(parts, both=BOTH, first=FIRST, full=FULL), rounds)
    assert found["both"].ratio == pytest.approx((4 * 21 + 2 * 62 + 4 * 102) / 1000, rel=1e-9)
    assert found["first"].ratio == pytest.approx((4 * 21 + 6 * 101) / 1000, rel=1e-9)
    assert found["both"].noise == pytest.approx(0.0, abs=1e-9)
    assert found["full"] == Tuned(False, 1.0, 0.0)
    assert found["both"].early
    assert found["first"].early


def test_without_exits_nothing_is_run(parts: Parts) -> None:
    assert tuned(plans_of(parts, full=FULL), [[leaving([1, 1, 1])]] * 3) == {"full": Tuned(False, 1.0, 0.0)}
    assert parts.calls == []


@pytest.mark.parametrize(("head", "early"), [(60.0, False), (58.5, False), (56.5, True)])
def test_leaving_early_has_to_pay_by_more_than_the_margin(
    head: float, early: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three quarters leave after 20 s and the head; ratios of 1, of 1 less half the margin, and less more than it."""
    parts = parts_of([head, 1.0])
    clocked(monkeypatch, parts.clock)
    (one,) = tuned(plans_of(parts, first=FIRST), [[leaving([3, 0, 1])]] * 4).values()
    assert one.ratio == pytest.approx((3 * 20 + 100 + 4 * head) / 400, rel=1e-9)
    assert one.early is early
    assert (fastest({"first": one}, ["first"]) == "first") is early


def test_leaving_early_has_to_pay_by_more_than_the_noise(parts: Parts) -> None:
    """Rounds whose samples leave half of the time vary, so that a median below the margin is not enough."""
    steady = [[leaving([1, 0, 3])]] * 6
    shaky = [[leaving([4, 0, 0])], [leaving([0, 0, 4])], [leaving([1, 0, 3])]] * 2
    calm, wild = (tuned(plans_of(parts, first=FIRST), rounds)["first"] for rounds in (steady, shaky))
    assert calm.ratio == pytest.approx(wild.ratio)
    assert calm.ratio < 1 - MARGIN
    assert calm.early
    assert wild.ratio + SURE * wild.noise > 1 - MARGIN
    assert not wild.early


def measured(**ratios: tuple[float, float]) -> dict[str, Tuned]:
    return {name: Tuned(ratio + SURE * noise < 1 - MARGIN, ratio, noise) for name, (ratio, noise) in ratios.items()}


def test_the_uncut_model_wins_ties_and_so_does_the_point_that_was_asked_for() -> None:
    found = measured(a=(1.0, 0.0), b=(0.98, 0.0), c=(0.8, 0.1), d=(0.7, 0.0), e=(0.69, 0.0), f=(0.6, 0.0))
    assert fastest(found, []) == UNCUT
    assert fastest(found, ["a"]) == UNCUT
    assert fastest(found, ["a", "b"]) == UNCUT
    assert fastest(found, ["c"]) == UNCUT
    assert fastest(found, ["d", "e"]) == "d"
    assert fastest(found, ["e", "d"]) == "e"
    assert fastest(found, ["d", "e", "f"]) == "f"
    assert fastest(found, ["a", "f", "d"]) == "f"


@given(
    ratios=st.lists(st.tuples(st.floats(0.1, 2.0), st.floats(0.0, 0.2)), min_size=1, max_size=6),
)
def test_what_is_taken_is_surely_faster_than_the_uncut_model(ratios: list[tuple[float, float]]) -> None:
    found = measured(**{f"p{index}": one for index, one in enumerate(ratios)})
    best = fastest(found, list(found))
    worth = [name for name, one in found.items() if one.ratio + SURE * one.noise < 1 - MARGIN]
    assert (best == UNCUT) == (not worth)
    if worth:
        assert best in worth
        surely = min(found[name].ratio + SURE * found[name].noise for name in worth)
        assert found[best].ratio * (1 - MARGIN) <= surely + 1e-12


def seen(plan: Plan, rounds: Sequence[Sequence[np.ndarray]]) -> tuple[Watched, list[np.ndarray]]:
    """The plan, run on all batches of the rounds; and these."""
    watched, batches = Watched(plan), [batch for round_ in rounds for batch in round_]
    for batch in batches:
        watched(batch)
    return watched, batches


def test_times_say_what_leaving_at_each_exit_takes(parts: Parts) -> None:
    """Where time is the same per sample in any batch, nothing has to be scaled; an exit that is off costs the end."""
    rounds = [[leaving([4, 2, 4])], [leaving([2, 4, 4])]] * 2
    both = plan_of(parts, BOTH)
    ratio = tuned({"both": both}, rounds)["both"].ratio
    times = times_of(*seen(both, rounds), (3 * 21 + 3 * 62 + 4 * 102) / 1000)
    assert times.leaving == pytest.approx([0.21, 0.62, 1.02], rel=1e-9)
    assert times.share == pytest.approx([0.3, 0.3, 0.4])
    assert float(times.leaving @ times.share) == pytest.approx(ratio, rel=1e-9)
    late = times_of(*seen(plan_of(parts, SECOND), rounds), 0.3 * 0.61 + 0.7 * 1.01)
    assert late.share == pytest.approx([0.0, 0.3, 0.7])
    assert late.leaving == pytest.approx([1.01, 0.61, 1.01], rel=1e-9)


def test_times_are_scaled_to_the_measured_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call costs 100 s however few samples are left, so that stages of a whole batch flatter what is left of it."""
    parts = parts_of(call=100.0)
    clocked(monkeypatch, parts.clock)
    rounds = [[leaving([4, 2, 4])]] * 3
    one = tuned(plans_of(parts, both=BOTH), rounds)["both"]
    assert one.ratio == pytest.approx((3 * 100 + 4 * 21 + 2 * 62 + 4 * 102) / 1100, rel=1e-9)
    assert one.times is not None
    assert float(one.times.leaving @ one.times.share) == pytest.approx(one.ratio, rel=1e-9)


def test_the_uncut_plan_never_leaves(parts: Parts) -> None:
    plan = plan_of(parts, BOTH)
    assert run(uncut(plan), leaving([2, 1, 1])).exit_index.tolist() == [2, 2, 2, 2]
    assert parts.calls == [None]
    assert run(plan, leaving([2, 1, 1])).exit_index.tolist() == [0, 0, 1, 2]


def model_of(
    parts: Parts, points: Mapping[str, Configuration], promises: Mapping[str, float] | None = None
) -> EarlyExitModel:
    return EarlyExitModel(parts.make, points, parts.point_of, next(iter(points)), promises=promises)


def spread(size: int = 10) -> list[list[np.ndarray]]:
    """The first exit is by far the faster one."""
    return [[leaving([size // 2, size // 5, size - size // 2 - size // 5])]] * 4


@pytest.mark.parametrize(
    ("asked", "promises", "used"),
    [
        ("slow", {"slow": 0.02, "quick": 0.02}, "quick"),  # promises the same
        ("slow", {"slow": 0.02, "quick": 0.01}, "quick"),  # promises less: a smaller risk
        ("slow", {"slow": 0.02, "quick": 0.03}, "slow"),  # would break the promise
        ("slow", {"slow": 0.02}, "slow"),  # promises nothing
        ("slow", {"quick": 0.01}, "slow"),  # what promises nothing is not replaced either
        ("slow", {}, "slow"),
        ("quick", {"slow": 0.01, "quick": 0.02}, "quick"),  # nothing that is slower
    ],
)
def test_only_a_point_that_promises_no_less_is_used_in_place_of_another(
    asked: str, promises: dict[str, float], used: str, parts: Parts
) -> None:
    points = {"slow": SECOND, "quick": FIRST, "full": FULL}
    model = model_of(parts, points, promises | {"full": 0.0} if promises else promises)
    assert model.plan(asked, 10) == asked
    found = model.tune({10: spread()})
    assert found["quick"][10].ratio < found["slow"][10].ratio < 1 - MARGIN
    assert model.plan(asked, 10) == used
    expected = run(plan_of(parts, points[used]), spread()[0][0])
    assert model.use(asked)(spread()[0][0]).exit_index.tolist() == expected.exit_index.tolist()


def test_where_no_point_pays_the_uncut_model_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls cost 30 s, so it takes a batch: at one sample nothing is saved, at ten it is."""
    parts = parts_of(call=30.0)
    clocked(monkeypatch, parts.clock)
    model = model_of(parts, {"both": BOTH, "full": FULL}, {"both": 0.02, "full": 0.0})
    alone = [[leaving(counts)] for counts in ([0, 0, 1], [0, 1, 0], [0, 0, 1])]
    found = model.tune({1: alone, 10: spread()})
    assert {size: one.early for size, one in found["both"].items()} == {1: False, 10: True}
    assert [model.plan("both", samples) for samples in (1, 2, 3, 4, 10, 500)] == [None, None, None, *["both"] * 3]
    assert model.plan("full", 1) == "full"
    parts.calls.clear()
    assert model(leaving([1, 0, 0])).exit_index.tolist() == [2]
    assert parts.calls == [None]
    with pytest.raises(UnknownNameError, match="both, full"):
        model.plan("other", 1)


def test_a_point_with_two_names_is_measured_once(parts: Parts) -> None:
    model_of(parts, {"both": BOTH}).tune({10: spread()})
    alone = len(parts.calls)
    parts.calls.clear()
    model = model_of(parts, {"both": BOTH, "balanced": BOTH, "first": FIRST})
    found = model.tune({10: spread()}, ["both", "balanced"])
    assert len(parts.calls) == alone
    assert found["both"] == found["balanced"]
    assert set(found) == {"both", "balanced"}
    assert parts.calls.count(FIRST.enabled) == 0
    assert model.plan("balanced", 10) == "balanced"


def collapse(model: EarlyExitModel, parts: Parts, size: int) -> int:
    """Batches of whom nobody leaves, until the uncut model takes over; how many samples that took."""
    seen = 0
    while True:
        parts.calls.clear()
        model(leaving([0, 0, size]))
        if parts.calls == [None]:
            return seen
        seen += size
        assert seen < 10 * HORIZON


def test_the_guard_of_a_tuned_model_falls_back_tries_and_comes_back(parts: Parts) -> None:
    model = model_of(parts, {"both": BOTH})
    model.tune({10: spread()})
    assert collapse(model, parts, 10) < 4 * HORIZON
    parts.calls.clear()
    for _ in range(2 * PROBE):
        model(leaving([0, 0, 10]))
    assert parts.calls.count(BOTH.enabled) == 2
    for _ in range(HORIZON * PROBE // 100):
        model(leaving([100, 0, 0]))
    parts.calls.clear()
    model(leaving([10, 0, 0]))
    assert parts.calls == [BOTH.enabled]


def test_answers_are_those_of_the_point_or_of_the_uncut_model_whatever_the_guard_does(parts: Parts) -> None:
    """Each batch whole, in order, with one call per item; never a mixture."""
    model, random = model_of(parts, {"both": BOTH}), np.random.default_rng(0)
    model.tune({10: spread()})
    plan, used = plan_of(parts, BOTH), set()
    for batch in range(400):
        often = 0.0 if batch < 250 else 1.0
        inputs = (random.random((10, 2)) < 0.7 * often).astype(np.float64) + random.random((10, 2)) / 1e3
        parts.calls.clear()
        told: dict[int, tuple[float, int, float]] = {}
        found = model(inputs, lambda n, out, exit_, score: told.update({n: (out[0], exit_, score)}))  # noqa: B023
        (call,) = parts.calls
        used.add(call)
        expected = run(uncut(plan) if call is None else plan, inputs)
        for name in ("output", "exit_index", "score"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        assert told == {n: (found.output[n, 0], found.exit_index[n], found.score[n]) for n in range(10)}
    assert used == {None, BOTH.enabled}
