"""Replicas from arithmetic, against a simulation of queues and against real stages."""

import heapq
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.errors import InputError, UnknownNameError
from offramp.serve.capacity import loads, measured, reaching, replicas
from offramp.serve.endpoint import Wish
from tests.builds import images
from tests.serve.apart import here, stages
from tests.serve.world import exits

SHARES, SECONDS = (0.5, 0.3, 0.2), (0.008, 0.012, 0.030)


def simulated(
    rate: float, shares: Sequence[float], seconds: Sequence[float], batch: int, servers: Sequence[int], until: float
) -> tuple[list[float], list[float]]:
    """Samples come at random; each stage runs what waits, up to a batch, as soon as one of its replicas is free.

    Returns:
        Of each stage the share of the time in which its replicas are busy, and how many samples wait on average in the
        second half of the time.
    """
    rng = np.random.default_rng(0)
    stages_ = range(len(shares))
    waiting: list[deque[float]] = [deque() for _ in stages_]
    free, work = list(servers), [0.0 for _ in stages_]
    seen: list[list[int]] = [[] for _ in stages_]
    events: list[tuple[float, int, str, int, int]] = []
    going = [1.0 - share / reach for share, reach in zip(shares, reaching(shares), strict=True)]
    at = 0.0
    while (at := at + rng.exponential(1.0 / rate)) < until:
        events.append((at, len(events), "come", 0, 1))
    heapq.heapify(events)
    count = len(events)
    while events:
        now, _, what, stage, samples = heapq.heappop(events)
        if now > until:
            break
        if what == "done":
            free[stage] += 1
            onwards = int(rng.binomial(samples, max(going[stage], 0.0))) if stage + 1 < len(shares) else 0
            if onwards:
                heapq.heappush(events, (now, count := count + 1, "come", stage + 1, onwards))
        else:
            waiting[stage].extend([now] * samples)
        while free[stage] and waiting[stage]:
            some = [waiting[stage].popleft() for _ in range(min(batch, len(waiting[stage])))]
            free[stage] -= 1
            taken = seconds[stage] * len(some) / batch
            work[stage] += taken
            heapq.heappush(events, (now + taken, count := count + 1, "done", stage, len(some)))
        if now > until / 2:
            seen[stage].append(len(waiting[stage]))
    busy = [one / until / number for one, number in zip(work, servers, strict=True)]
    return busy, [float(np.mean(one)) for one in seen]


@pytest.mark.parametrize("batch", [1, 8])
def test_queues_stay_short_with_so_many_and_grow_with_fewer_than_the_load(batch: int) -> None:
    rate, seconds = 1000.0, tuple(batch * one for one in SECONDS)
    wanted = loads(rate, SHARES, seconds, batch, 0.7)
    servers = [load.replicas for load in wanted]
    busy, queues = simulated(rate, SHARES, seconds, batch, servers, until=60.0)
    for load, share, queue in zip(wanted, busy, queues, strict=True):
        assert share == pytest.approx(load.cores / load.replicas, rel=0.05)
        assert share <= 0.7 * 1.05
        assert queue < 3 * batch
    for stage, load in enumerate(wanted):
        fewer = [*servers[:stage], int(np.ceil(load.cores)) - 1, *servers[stage + 1 :]]
        _, short = simulated(rate, SHARES, seconds, batch, fewer, until=60.0)
        assert short[stage] > 20 * batch


def test_replicas_by_hand() -> None:
    # 2,000 a second: 2000 x 1 x 4 ms / 8 = 1 core; 2000 x 0.5 x 8 ms / 8 = 1 core; 2000 x 0.2 x 40 ms / 8 = 2 cores
    found = loads(2000.0, SHARES, (0.004, 0.008, 0.040), batch=8, utilisation=0.5)
    assert [load.reach for load in found] == pytest.approx([1.0, 0.5, 0.2])
    assert [load.rate for load in found] == pytest.approx([2000.0, 1000.0, 400.0])
    assert [load.cores for load in found] == pytest.approx([1.0, 1.0, 2.0])
    assert [load.replicas for load in found] == [2, 2, 4]


@given(
    parts=st.lists(st.floats(0.01, 1.0), min_size=1, max_size=6),
    rate=st.floats(1.0, 1e6),
    utilisation=st.floats(0.1, 1.0),
    more=st.floats(1.0, 3.0),
)
def test_later_stages_get_fewer_and_more_work_never_fewer(
    parts: list[float], rate: float, utilisation: float, more: float
) -> None:
    shares = [part / sum(parts) for part in parts]
    seconds = [0.005] * len(parts)
    found = replicas(rate, shares, seconds, 4, utilisation)
    assert list(found) == sorted(found, reverse=True)
    assert min(found) >= 1
    for one, other in zip(replicas(more * rate, shares, seconds, 4, utilisation), found, strict=True):
        assert one >= other


@pytest.mark.parametrize(
    ("wrong", "saying"),
    [
        ({"shares": (0.5, 0.4, 0.2)}, "add up to 1"),
        ({"shares": (1.2, -0.2, 0.0)}, "at least 0"),
        ({"seconds": (0.1, 0.1)}, "a share and a time for each stage"),
        ({"seconds": (0.1, 0.1, -0.1)}, "no time below 0"),
        ({"rate": 0.0}, "above 0"),
        ({"batch": 0}, "above 0"),
        ({"utilisation": 1.5}, "up to 1"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, object], saying: str) -> None:
    with pytest.raises(InputError, match=saying):
        loads(**{"rate": 10.0, "shares": SHARES, "seconds": SECONDS} | wrong)  # type: ignore[arg-type]


def test_what_is_measured_is_what_the_server_does(tmp_path: Path) -> None:
    folder, x = stages(tmp_path / "toy"), images(200, 3).numpy()
    found = measured(folder, "wide", [x], batch=16, rounds=3)
    left = exits(here(folder, [({"input0": x}, Wish("wide"))])[0])
    assert found.shares == pytest.approx([sum(exit_ == last for exit_ in left) / 200 for last in (0, 2, 5, 6)])
    assert found.received[0] == x[:1].nbytes
    assert all(seconds > 0 for seconds in (*found.seconds, found.whole))
    assert len(found.seconds) == len(found.received) == 4
    with pytest.raises(UnknownNameError, match="expected an operating point among wide, hasty, full; got 'wild'"):
        measured(folder, "wild", [x])
