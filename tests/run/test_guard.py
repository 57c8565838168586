"""When to leave early, by who left of late."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.run.guard import HORIZON, PROBE, Guard, Times

SAMPLES = 2000


@st.composite
def measured(draw: st.DrawFn) -> Times:
    """Anything that could be measured, also where leaving does not pay, or nobody left."""
    exits = draw(st.integers(1, 4))
    early = sorted(draw(st.lists(st.floats(0.05, 1.2), min_size=exits, max_size=exits)))
    counts = draw(st.lists(st.integers(0, 10), min_size=exits + 1, max_size=exits + 1).filter(any))
    return Times(np.array([*early, draw(st.floats(0.9, 1.5))]), np.array(counts) / sum(counts))


@given(times=measured())
def test_break_even_is_where_a_simulation_is_as_fast_as_the_uncut_model(times: Times) -> None:
    """One sample more after the other leaves early, spread as measured, until the whole takes no longer than uncut."""
    early = times.share[:-1]
    if early.sum() == 0:
        assert times.break_even is None
        return
    each = (times.leaving[:-1] * early).sum() / early.sum()
    left = np.arange(SAMPLES + 1)
    taken = left * each + (SAMPLES - left) * times.leaving[-1]
    enough = np.flatnonzero(taken <= SAMPLES)
    if times.break_even is None:
        assert not (taken < SAMPLES * (1 - 1e-9)).any()
    elif len(enough):
        assert abs(enough[0] / SAMPLES - times.break_even) <= 1 / SAMPLES + 1e-9
    else:  # all have to leave, and rounding decides
        assert times.break_even == pytest.approx(1.0)


def half_the_time() -> Times:
    """60 % leave after half the time, 5 % is what never leaving costs more: break-even at 1 in 11."""
    return Times(np.array([0.5, 1.05]), np.array([0.6, 0.4]))


@pytest.mark.parametrize("size", [1, 8, 32])
def test_the_uncut_model_takes_over_once_nobody_leaves_any_more(size: int) -> None:
    """After so many samples as it takes the mean to fall from 60 % to break-even, give or take a batch."""
    times = half_the_time()
    guard, seen = Guard(times), 0
    assert times.break_even is not None
    while guard.early():
        guard.saw(np.ones(size, np.int64))
        seen += size
        assert seen < 10 * HORIZON
    expected = np.log(times.break_even / 0.6) / np.log(1 - 1 / HORIZON)
    assert expected - 1e-6 <= seen < expected + size + 1e-6
    assert seen < 2 * HORIZON


def test_as_long_as_samples_leave_as_measured_it_never_gives_up() -> None:
    guard, random = Guard(half_the_time()), np.random.default_rng(0)
    for _ in range(2000):
        assert guard.early()
        guard.saw((random.random(4) >= 0.6).astype(np.int64))
    assert guard.expected == pytest.approx(0.6 * 0.5 + 0.4 * 1.05, abs=0.06)


def given_up(size: int = 32) -> Guard:
    guard = Guard(half_the_time())
    while guard.early():
        guard.saw(np.ones(size, np.int64))
    return guard  # the first batch of the uncut model is behind it


def test_one_batch_in_a_hundred_is_tried() -> None:
    guard = given_up()
    tried = []
    for batch in range(2, 5 * PROBE + 2):
        if guard.early():
            tried.append(batch)
            guard.saw(np.ones(32, np.int64))
    assert tried == [PROBE, 2 * PROBE, 3 * PROBE, 4 * PROBE, 5 * PROBE]


@pytest.mark.parametrize("size", [1, 32])
def test_it_comes_back_when_samples_leave_again(size: int) -> None:
    """At the latest after the horizon in samples that were tried."""
    guard, batches = given_up(size), 0
    while guard.expected >= 1.0:
        batches += 1
        if guard.early():
            guard.saw(np.zeros(size, np.int64))
        assert batches * size <= HORIZON * PROBE
    assert all(guard.early() for _ in range(3))


def test_a_batch_counts_as_its_samples_would_one_by_one() -> None:
    """All samples of a batch alike, so that their order does not matter."""
    one, many = Guard(half_the_time()), Guard(half_the_time())
    many.saw(np.ones(50, np.int64))
    for _ in range(50):
        one.saw(np.ones(1, np.int64))
    assert many.expected == pytest.approx(one.expected, rel=1e-12)


def test_it_changes_nothing_that_it_is_given() -> None:
    times = half_the_time()
    guard, left = Guard(times), np.array([0, 1, 1])
    guard.saw(left)
    assert left.tolist() == [0, 1, 1]
    assert times.share.tolist() == [0.6, 0.4]
    assert Guard(times).expected == pytest.approx(0.72)
