"""What is kept of audited inputs, and what happens when samples go on for too long."""

import threading
from pathlib import Path

import numpy as np
import pytest

from offramp.audit_files import Store, files_in
from offramp.errors import InputError
from offramp.load.audited import open_audited
from offramp.serve.batcher import Batching
from offramp.serve.care import Care, cared
from offramp.serve.endpoint import Endpoint, Wish
from offramp.serve.keeping import Keeper
from offramp.serve.monitor import Audits
from offramp.serve.sample import Answer, Sample
from offramp.serve.slowdown import Pace
from offramp.serve.watch import Watch
from tests.serve.world import Ears, deployment, exits, inputs, served


def test_what_audits_drew_is_kept_whole_and_in_its_order(tmp_path: Path) -> None:
    x = inputs(500)["input0"]
    with cared(Care(Audits(0.3), store=Store(tmp_path / "kept", each=16)), Batching()) as begun:
        version, ears = begun(deployment(), 0), Ears()
        version.endpoint.ask({"input0": x}, Wish(), ears)
        ears.finals(500)
        version.endpoint.engine.close(20.0)
    source = open_audited(tmp_path / "kept")
    kept = np.asarray(source.inputs(np.arange(len(source))))
    assert 100 < len(source) < 200
    places = [int(np.flatnonzero((x == one).all(axis=(1, 2, 3)))[0]) for one in kept]
    assert places == sorted(places)


def test_samples_are_kept_wherever_they_leave(tmp_path: Path) -> None:
    with cared(Care(Audits(1.0), store=Store(tmp_path)), Batching()) as begun:
        version = begun(deployment(), 0)
        for point in ("full", "balanced"):
            ears = Ears()
            version.endpoint.ask(inputs(), Wish(point), ears)
            ears.finals(40)
        version.endpoint.engine.close(20.0)
    assert len(open_audited(tmp_path)) == 80


def sample(value: float, width: int = 2) -> Sample:
    return Sample({"a": np.full(width, value)}, np.array([0.5]), 1, lambda _: None)


def test_where_the_disk_is_slow_or_full_some_are_lost_and_nobody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = threading.Event()

    def slow(_: Store, rows: object) -> None:
        assert going.wait(20)
        raise InputError("cannot keep inputs: no space left")

    monkeypatch.setattr(Store, "write", slow)
    keeper = Keeper(Store(tmp_path, each=2))
    for value in range(20):
        keeper.keep(sample(float(value)))
    assert 8 <= keeper.lost <= 12
    going.set()
    keeper.close(20.0)
    assert keeper.lost == 20
    assert not files_in(tmp_path)
    with pytest.raises(InputError, match="choose another folder"):
        Keeper(Store(Path("/proc/nothing")))


def test_samples_of_several_shapes_are_kept_apart(tmp_path: Path) -> None:
    keeper = Keeper(Store(tmp_path, each=2))
    for value, width in ((1.0, 2), (2.0, 3), (3.0, 2), (4.0, 4)):
        keeper.keep(sample(value, width))
    keeper.close(20.0)
    assert len(files_in(tmp_path)) == 3
    assert sorted(np.asarray(open_audited(tmp_path).inputs(np.arange(4)))[:, 0].tolist()) == [1.0, 2.0, 3.0, 4.0]


def asked(endpoint: Endpoint, point: str, max_exit: int | None = None) -> list[Answer]:
    ears = Ears()
    endpoint.ask(inputs(), Wish(point, max_exit), ears)
    found = ears.finals(40)
    assert all(isinstance(one, Answer) for one in found)
    return [one for one in found if isinstance(one, Answer)]


def test_a_cap_makes_samples_leave_at_the_last_exit_within_it() -> None:
    with served() as (endpoint, _):
        point = next(name for name, one in endpoint.deployment.points.items() if any(one.configuration.enabled))
        known = endpoint.deployment.points[point]
        assert known.leaving is not None
        on = [exit_ for exit_, enabled in enumerate(known.configuration.enabled) if enabled]
        free = exits(asked(endpoint, point))
        for cap, last in ((known.leaving[on[-1]], on[-1]), (0.0, on[0])):
            endpoint.cap(cap)
            capped = asked(endpoint, point)
            assert exits(capped) == [min(one, last) for one in free]
            assert [one.forced for one in capped] == [one > last for one in free]
            assert exits(asked(endpoint, point, on[0])) == [on[0]] * 40, "what a request asks for still holds"
        assert set(exits(asked(endpoint, "full"))) == {len(known.configuration.enabled)}, "there is no exit to take"
        endpoint.cap(None)
        assert exits(asked(endpoint, point)) == free


def told(watch: Watch, point: str) -> float | None:
    return watch.metrics.registry.get_sample_value("offramp_slow", {"model": "toy", "point": point})


def test_the_cap_stays_as_long_as_samples_go_on_for_too_long_at_any_point() -> None:
    made = deployment()
    slow, other = [name for name, one in made.points.items() if any(one.configuration.enabled)][:2]
    with cared(Care(Audits(0.0), pace=Pace(slack=0.1), cap=0.6), Batching()) as begun:
        version = begun(made, 0)
        slowdown, backbone = version.watch.slowdown, len(made.points[slow].configuration.enabled)
        free = exits(asked(version.endpoint, slow))
        for name in (slow, other):
            slowdown.saw(name, [backbone] * 1_000)
        capped = exits(asked(version.endpoint, slow))
        slowdown._courses[other].until = 0.0  # it is over there, and not at the first one
        slowdown.tick()
        assert (slowdown.slow(slow), slowdown.slow(other)) == (True, False)
        assert exits(asked(version.endpoint, slow)) == capped != free
        slowdown._courses[slow].until = 0.0
        slowdown.tick()
        assert exits(asked(version.endpoint, slow)) == free
        version.endpoint.engine.close(20.0)


def test_samples_that_go_on_for_too_long_are_capped_until_it_is_tried_again() -> None:
    """Inputs are noise here, on which no exit is sure: what a slow-down attack looks like."""
    care = Care(Audits(0.0), pace=Pace(slack=0.1, hold=0.3), cap=0.6)
    made = deployment()
    point = next(name for name, one in made.points.items() if any(one.configuration.enabled))
    with cared(care, Batching()) as begun:
        version = begun(made, 0)
        endpoint, watch = version.endpoint, version.watch
        endpoint._columns[point] = np.where(endpoint._columns[point] < np.inf, 2.0, np.inf)
        backbone, seen = len(endpoint._columns[point]), []
        for _ in range(200):
            seen.append(set(exits(asked(endpoint, point))))
            if watch.slowdown.slow(point) and len(seen) > 2 and seen[-1] != {backbone}:
                break
        leaving = made.points[point].leaving
        assert leaving is not None
        assert seen[0] == {backbone}
        assert len(seen[-1]) == 1
        assert leaving[next(iter(seen[-1]))] <= 0.6
        assert watch.snapshot(point, 0)["slow"]
        assert told(watch, point) == 1.0, "also while samples are no evidence, since they are capped"
        deadline = threading.Event()
        deadline.wait(0.35)
        asked(endpoint, point)
        assert exits(asked(endpoint, point)) == [backbone] * 40, "it is tried whether it is over"
        assert told(watch, point) == 0.0
        endpoint.engine.close(20.0)
