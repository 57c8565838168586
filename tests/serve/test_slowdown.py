"""Samples that go on for too long are found soon, and it is tried again and again whether that is over."""

import numpy as np
import pytest

from offramp.errors import InputError
from offramp.serve.deployment import ServedPoint
from offramp.serve.slowdown import Pace, Slowdown
from offramp.types import Configuration

LEAVING = (0.2, 0.55, 1.05)
SHARES = (0.5, 0.3, 0.2)
POINT = ServedPoint(
    Configuration((True, True), (0.9, 0.9)), float(np.dot(SHARES, LEAVING)), 0.01, "disagreement", LEAVING
)
FULL = ServedPoint(Configuration((False, False), (1.0, 1.0)), 1.0, 0.0, "disagreement", (0.2, 0.5, 1.0))


def drawn(rng: np.random.Generator, shares: tuple[float, ...], samples: int) -> list[int]:
    return [int(one) for one in rng.choice(len(shares), samples, p=shares)]


def test_clean_streams_are_not_called_slow() -> None:
    told: list[tuple[str, bool]] = []
    for seed in range(12):
        slowdown = Slowdown(Pace(), {"a": POINT, "full": FULL}, lambda *one: told.append(one))
        rng = np.random.default_rng(seed)
        for _ in range(100):
            slowdown.saw("a", drawn(rng, SHARES, 100))
            slowdown.saw("full", [2] * 100)
    assert not told


@pytest.mark.parametrize(("shares", "most"), [((0.0, 0.0, 1.0), 160), ((0.1, 0.1, 0.8), 400)])
def test_an_attack_is_found_within_few_samples_also_late(shares: tuple[float, ...], most: int) -> None:
    for seed in range(10):
        told: list[tuple[str, bool]] = []
        rng = np.random.default_rng(seed)
        slowdown = Slowdown(Pace(), {"a": POINT}, lambda *one, told=told: told.append(one))
        for _ in range(50):
            slowdown.saw("a", drawn(rng, SHARES, 100))
        samples = 0
        while not told and samples < 2_000:
            slowdown.saw("a", drawn(rng, shares, 10))
            samples += 10
        assert told == [("a", True)]
        assert slowdown.slow("a")
        assert samples <= most


def test_it_is_taken_back_and_held_for_longer_each_time_that_it_was_not_over() -> None:
    now, told = [0.0], []
    pace = Pace(hold=10.0, longest=4)
    slowdown = Slowdown(pace, {"a": POINT}, lambda _, slow: told.append((now[0], slow)), lambda: now[0])
    for second in range(200):
        now[0] = float(second)
        slowdown.tick()
        slowdown.saw("a", [2] * 200)
    starts = [at for at, slow in told if slow]
    assert np.diff(starts).tolist() == [10.0, 20.0, 40.0, 40.0, 40.0, 40.0]
    assert [at for at, slow in told if not slow] == starts[1:]
    assert slowdown.slow("a")
    now[0] += 100.0
    slowdown.tick()
    slowdown.saw("a", [0] * 2_000)
    assert not slowdown.slow("a")
    slowdown.saw("a", [2] * 2_000)
    assert slowdown.slow("a")
    now[0] += 11.0
    slowdown.tick()
    assert not slowdown.slow("a"), "held for the first time since it was over"


def test_wishes_that_make_no_sense_are_refused() -> None:
    for wishes in ({"slack": 0.0}, {"alpha": 1.0}, {"window": 0}, {"hold": 0.0}, {"longest": 0}):
        with pytest.raises(InputError, match="expected"):
            Pace(**wishes)
