"""An executor whose every part takes a known time on a clock of its own, so that no test waits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest

from offramp.run import timing, tuning
from offramp.run.executor import Executor, Said, Stop
from offramp.run.loop import stops_of
from offramp.run.stage_seconds import stage_seconds


@dataclass
class Clock:
    """Tells the time; who takes some says so."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Parts:
    """A made-up model; all times are seconds per sample.

    Inputs are arrays (batch, exits): what each exit will score of each sample.

    Attributes:
        segment: of the backbone; one more than there are places.
        head: of each exit.
        cut: of each place, where the model stops there.
        point_of: the place of each exit.
        call: seconds of each stage, however few samples there are.
        clock: what they are spent on.
        calls: what was run: the enabled exits of a batch that was cut, None for one that was not.
    """

    segment: Sequence[float]
    head: Sequence[float]
    cut: Sequence[float]
    point_of: Sequence[int]
    call: float = 0.0
    clock: Clock = field(default_factory=Clock)
    calls: list[tuple[bool, ...] | None] = field(default_factory=list)

    def make(self, enabled: tuple[bool, ...]) -> Executor:
        """The executor for these exits."""
        return Clocked(self, enabled)

    @property
    def whole(self) -> float:
        """Seconds of the uncut model."""
        return float(sum(self.segment))


class Clocked:
    """Runs a made-up model."""

    def __init__(self, parts: Parts, enabled: tuple[bool, ...]) -> None:
        self.parts, self.enabled = parts, enabled
        self.places = [parts.point_of[exits[0]] for exits in stops_of(enabled, parts.point_of)]

    def samples(self, inputs: np.ndarray) -> int:
        return len(inputs)

    def drive(self, inputs: np.ndarray, stop: Stop) -> Said | None:
        parts, done = self.parts, 0
        parts.calls.append(self.enabled)
        for index, place in enumerate(self.places):
            here, batch = sum(parts.segment[done : place + 1]) + parts.cut[place], inputs
            parts.clock.now += parts.call + len(batch) * here
            done = place + 1

            def say(exit_: int, batch: np.ndarray = batch) -> Said:
                parts.clock.now += len(batch) * parts.head[exit_]
                return said(batch, exit_)

            rows = stop(index, say)
            inputs = batch if rows is None else batch[rows]
            if len(inputs) == 0:
                return None
        parts.clock.now += parts.call + len(inputs) * sum(parts.segment[done:])
        return said(inputs, -1)

    def whole(self, inputs: np.ndarray) -> Said:
        self.parts.calls.append(None)
        self.parts.clock.now += self.parts.call + len(inputs) * self.parts.whole
        return said(inputs, -1)


def said(inputs: np.ndarray, exit_: int) -> Said:
    """Logits from which one sees who was asked, and at which exit; the score is what the input says."""
    score = inputs[:, exit_] if exit_ >= 0 else np.ones(len(inputs))
    return Said(np.stack([inputs.sum(axis=1), np.full(len(inputs), float(exit_))], axis=1), score)


def leaving(counts: Sequence[int]) -> np.ndarray:
    """A batch of which so many leave at each exit, the last number at the end; by a threshold of 0.5."""
    exits = len(counts) - 1
    rows = [[float(column == exit_) for column in range(exits)] for exit_, n in enumerate(counts) for _ in range(n)]
    return np.array(rows).reshape(-1, exits)


def clocked(monkeypatch: pytest.MonkeyPatch, clock: Callable[[], float]) -> None:
    """All that is timed from now on is timed by this clock."""
    monkeypatch.setattr(timing, "settled", clock)
    monkeypatch.setattr(tuning, "stage_seconds", partial(stage_seconds, clock=clock))
