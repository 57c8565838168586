"""The one loop: segment → head → gate → compact (SelfXit, algorithm 1). NumPy only; executors do the computing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from offramp.arrays import Float, Int
from offramp.run.buffers import running
from offramp.run.executor import Executor, Said, Say
from offramp.types import Configuration

OnResolved = Callable[[int, Any, int, float], None]
"""Called once per item as soon as its answer is known: (position in the batch, output, exit, score)."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """The answers to a batch, in input order.

    Attributes:
        output: calibrated logits of the exit that answered.
        exit_index: which exit answered; the last number is the backbone itself.
        score: the gate's score of the answer.
    """

    output: Any
    exit_index: Any
    score: Any


@dataclass(frozen=True, eq=False)
class Plan:
    """All that the loop needs to know about an operating point; immutable, so that a batch keeps what it started with.

    Attributes:
        configuration: which exits are on, and their thresholds.
        stops: for each place where the executor stops, by depth, the enabled exits there.
        executor: made for these exits.
    """

    configuration: Configuration
    stops: tuple[tuple[int, ...], ...]
    executor: Executor


def stops_of(enabled: Sequence[bool], point_of: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """The enabled exits at each place that has any, by depth.

    >>> stops_of([True, False, True, True], [0, 0, 1, 1])
    ((0,), (2, 3))
    """
    places = sorted({place for place, on in zip(point_of, enabled, strict=True) if on})
    return tuple(tuple(e for e, on in enumerate(enabled) if on and point_of[e] == place) for place in places)


class _Batch:
    """The answers given so far, and which items are still under way."""

    def __init__(self, samples: int, on_resolved: OnResolved | None) -> None:
        self.alive: Int[np.ndarray, " alive"] = np.arange(samples)
        self.exit_index = np.empty(samples, np.int64)
        self.score: Float[np.ndarray, " batch"] | None = None
        self.output: Float[np.ndarray, "batch classes"] | None = None
        self.on_resolved = on_resolved

    def resolve(self, who: Int[np.ndarray, " some"], said: Said, exit_index: int) -> None:
        """Answers the items at the positions `who`."""
        if self.output is None or self.score is None:
            samples = len(self.exit_index)
            self.output = np.empty((samples, *said.logits.shape[1:]), said.logits.dtype)
            self.score = np.empty(samples, said.score.dtype)
        self.output[who] = said.logits
        self.score[who] = said.score
        self.exit_index[who] = exit_index
        if self.on_resolved is not None:
            for position, answer, value in zip(who.tolist(), said.logits, said.score.tolist(), strict=True):
                self.on_resolved(position, answer, exit_index, value)


@dataclass(frozen=True, eq=False)
class Left:
    """Those who leave at an exit.

    Attributes:
        exit_index: which exit.
        rows: who, by their place among those who reached the stop.
        said: what the exit says about them.
    """

    exit_index: int
    rows: Int[np.ndarray, " gone"]
    said: Said


def decide(
    exits: Sequence[int], say: Say, configuration: Configuration
) -> tuple[list[Left], Int[np.ndarray, " staying"] | None]:
    """Who leaves at a stop, at which exit; and the rows of those who stay, in order, or None for all.

    Args:
        exits: the enabled exits of the stop.
        say: what they say about all who reached it.
        configuration: has their thresholds.
    """
    left: list[Left] = []
    rows: Int[np.ndarray, " staying"] | None = None
    for exit_ in exits:
        said = say(exit_)
        score = said.score if rows is None else said.score[rows]
        # in double precision, since a threshold is not rounded to single
        going = score.astype(np.float64) >= configuration.threshold[exit_]
        if not going.any():
            continue
        gone = going.nonzero()[0] if rows is None else rows[going]
        left.append(Left(exit_, gone, Said(said.logits[gone], said.score[gone])))
        rows = (~going).nonzero()[0] if rows is None else rows[~going]
        if len(rows) == 0:
            break
    return left, rows


def run(plan: Plan, inputs: Any, on_resolved: OnResolved | None = None) -> Outcome:
    """The outcome of a batch, in NumPy.

    A sample leaves at the first enabled exit with `score >= threshold`; what is left of the batch goes on without it.
    With no exit enabled this is the backbone itself, bit for bit.

    Raises:
        DataError: if the inputs disagree about the batch size.
    """
    batch = _Batch(plan.executor.samples(inputs), on_resolved)

    def stop(place: int, say: Say) -> Int[np.ndarray, " staying"] | None:
        left, rows = decide(plan.stops[place], say, plan.configuration)
        for some in left:
            batch.resolve(batch.alive[some.rows], some.said, some.exit_index)
        if rows is not None:
            batch.alive = batch.alive[rows]
        return rows

    with running():
        said = plan.executor.drive(inputs, stop) if plan.stops else plan.executor.whole(inputs)
        if said is not None:
            batch.resolve(batch.alive, said, len(plan.configuration.enabled))
    return Outcome(batch.output, batch.exit_index, batch.score)
