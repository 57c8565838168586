"""What it costs to switch the operating point: each call of `use` timed, idle and while threads call the model."""

import threading
import time
from array import array
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np

from offramp.run.model import EarlyExitModel

LIMIT = 100.0
"""Microseconds that a switch is allowed."""


@dataclass(frozen=True)
class SwitchRow:
    """The calls of `use` on one back end.

    Attributes:
        backend: what the model runs on.
        callers: threads that call the model meanwhile.
        batches: that they had answered.
        calls: of `use`.
        us: median, 99th percentile and maximum of a call in microseconds by the clock on the wall; with callers that
            includes waiting for a turn on the processor.
        cpu_us: the same in processor time of the calling thread.
        over_limit: share of the calls that took longer than `LIMIT` by the clock on the wall.
    """

    backend: str
    callers: int
    batches: int
    calls: int
    us: dict[str, float]
    cpu_us: dict[str, float]
    over_limit: float


def idle(backend: str, model: EarlyExitModel, points: Sequence[str], calls: int) -> SwitchRow:
    """While nobody calls the model."""
    kept, names = Kept(), cycle(points)
    for _ in range(calls):
        kept.switch(model, next(names))
    return _row(backend, 0, 0, kept)


def loaded(
    backend: str,
    model: EarlyExitModel,
    points: Sequence[str],
    batches: Sequence[Any],
    callers: int,
    seconds: float,
    pause: float,
) -> SwitchRow:
    """While so many threads call the model without a break; `pause`: seconds between two switches."""
    over = threading.Event()

    def call(first: int) -> int:
        done = 0
        while not over.is_set():
            model(batches[(first + done) % len(batches)])
            done += 1
        return done

    with ThreadPoolExecutor(callers) as pool:
        calling = [pool.submit(call, first) for first in range(callers)]
        try:
            kept, names, end = Kept(), cycle(points), time.perf_counter() + seconds
            while time.perf_counter() < end:
                kept.switch(model, next(names))
                time.sleep(pause)
        finally:
            over.set()
    return _row(backend, callers, sum(one.result() for one in calling), kept)


class Kept:
    """Nanoseconds of each call, kept as plain numbers: objects would wake the garbage collector now and then."""

    def __init__(self) -> None:
        self.wall, self.cpu = array("q"), array("q")

    def switch(self, model: EarlyExitModel, name: str) -> None:
        """Times one call; its processor time includes two readings of the clock on the wall."""
        before = time.thread_time_ns()
        start = time.perf_counter_ns()
        model.use(name)
        wall = time.perf_counter_ns() - start
        self.cpu.append(time.thread_time_ns() - before)
        self.wall.append(wall)


def _row(backend: str, callers: int, batches: int, kept: Kept) -> SwitchRow:
    wall, cpu = np.array(kept.wall) / 1e3, np.array(kept.cpu) / 1e3
    over = float((wall > LIMIT).mean())
    return SwitchRow(backend, callers, batches, len(wall), _spread(wall), _spread(cpu), over)


def _spread(us: np.ndarray) -> dict[str, float]:
    median, p99 = np.quantile(us, (0.5, 0.99))
    return {"median": float(median), "p99": float(p99), "max": float(us.max())}
