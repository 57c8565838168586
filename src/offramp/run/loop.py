"""The one loop: segment → head → gate → compact (SelfXit, algorithm 1). NumPy only; executors do the computing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from offramp.arrays import Float, Int
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

    def leave(self, said: Said, going: Any, exit_index: int) -> Int[np.ndarray, " staying"]:
        """Lets those go who may; returns the rows of those who stay."""
        gone: Int[np.ndarray, " gone"] = going.nonzero()[0]
        staying: Int[np.ndarray, " staying"] = (~going).nonzero()[0]
        self.resolve(self.alive[gone], Said(said.logits[gone], said.score[gone]), exit_index)
        self.alive = self.alive[staying]
        return staying


def run(plan: Plan, inputs: Any, on_resolved: OnResolved | None = None) -> Outcome:
    """The outcome of a batch, in NumPy.

    A sample leaves at the first enabled exit with `score >= threshold`; what is left of the batch goes on without it.
    With no exit enabled this is the backbone itself, bit for bit.

    Raises:
        DataError: if the inputs disagree about the batch size.
    """
    batch = _Batch(plan.executor.samples(inputs), on_resolved)

    def stop(place: int, say: Say) -> Int[np.ndarray, " staying"] | None:
        rows: Int[np.ndarray, " staying"] | None = None
        for exit_ in plan.stops[place]:
            said = say(exit_)
            if rows is not None:
                said = Said(said.logits[rows], said.score[rows])
            # in double precision, since a threshold is not rounded to single
            going = said.score.astype(np.float64) >= plan.configuration.threshold[exit_]
            if not going.any():
                continue
            staying = batch.leave(said, going, exit_)
            rows = staying if rows is None else rows[staying]
            if len(rows) == 0:
                break
        return rows

    said = plan.executor.drive(inputs, stop) if plan.stops else plan.executor.whole(inputs)
    if said is not None:
        batch.resolve(batch.alive, said, len(plan.configuration.enabled))
    return Outcome(batch.output, batch.exit_index, batch.score)
