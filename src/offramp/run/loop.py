"""The one loop: segment → head → gate → compact (SelfXit, algorithm 1). NumPy only; executors do the computing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from offramp.arrays import Float, Int
from offramp.decide.rule import Direct, Memory, Rule
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
        score: what was compared with the threshold; of the backbone's own answer, the gate's score.
        full: by name, what else the backbone returns (boxes, an embedding), of the samples that it answered, in their
            order: row `k` is of sample `at_backbone[k]`.
    """

    output: Any
    exit_index: Any
    score: Any
    full: Mapping[str, Any] = field(default_factory=dict)
    at_backbone: Any = ()


@dataclass(frozen=True, eq=False)
class Plan:
    """All that the loop needs to know about an operating point; immutable, so that a batch keeps what it started with.

    Attributes:
        configuration: which exits are on, and their thresholds.
        stops: for each place where the executor stops, by depth, the enabled exits there.
        executor: made for these exits.
        rule: how their scores decide.
    """

    configuration: Configuration
    stops: tuple[tuple[int, ...], ...]
    executor: Executor
    rule: Rule = field(default_factory=Direct)

    @classmethod
    def of(
        cls, configuration: Configuration, point_of: Sequence[int], executor: Executor, rule: Rule | None = None
    ) -> "Plan":
        """The plan of a configuration.

        Args:
            configuration: which exits are on, and their thresholds.
            point_of: for each exit, the number of its exit point.
            executor: made for these exits.
            rule: how their scores decide; None: each score by itself.
        """
        return cls(configuration, stops_of(configuration.enabled, point_of), executor, rule or Direct())


def stops_of(enabled: Sequence[bool], point_of: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """The enabled exits at each place that has any, by depth.

    >>> stops_of([True, False, True, True], [0, 0, 1, 1])
    ((0,), (2, 3))
    """
    places = sorted({place for place, on in zip(point_of, enabled, strict=True) if on})
    return tuple(tuple(e for e, on in enumerate(enabled) if on and point_of[e] == place) for place in places)


class _Batch:
    """The answers given so far, and which items are still under way."""

    def __init__(self, samples: int, memory: Memory, on_resolved: OnResolved | None) -> None:
        self.alive: Int[np.ndarray, " alive"] = np.arange(samples)
        self.memory = memory
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
    plan: Plan, place: int, say: Say, memory: Memory
) -> tuple[list[Left], Int[np.ndarray, " staying"] | None, Memory]:
    """Who leaves at a stop, at which exit; the rows of those who stay, in order, or None for all; and their memory.

    Args:
        plan: the operating point.
        place: which of its stops.
        say: what its exits say about all who reached it.
        memory: what the rule remembers of these.
    """
    left: list[Left] = []
    rows: Int[np.ndarray, " staying"] | None = None
    for exit_ in plan.stops[place]:
        said = say(exit_)
        score = said.score if rows is None else said.score[rows]
        # in double precision, since a threshold is not rounded to single
        decisive, memory = plan.rule.step(score.astype(np.float64), memory)
        going = decisive >= plan.configuration.threshold[exit_]
        if not going.any():
            continue
        gone = going.nonzero()[0] if rows is None else rows[going]
        left.append(Left(exit_, gone, Said(said.logits[gone], decisive[going].astype(said.score.dtype))))
        rows = (~going).nonzero()[0] if rows is None else rows[~going]
        memory = None if memory is None else memory[~going]
        if len(rows) == 0:
            break
    return left, rows, memory


def run(plan: Plan, inputs: Any, on_resolved: OnResolved | None = None) -> Outcome:
    """The outcome of a batch, in NumPy.

    A sample leaves at the first enabled exit where what the rule makes of its scores, by default the score itself,
    reaches the threshold; what is left of the batch goes on without it.
    With no exit enabled this is the backbone itself, bit for bit.

    Raises:
        DataError: if the inputs disagree about the batch size.
    """
    samples = plan.executor.samples(inputs)
    batch = _Batch(samples, plan.rule.start(samples), on_resolved)

    def stop(place: int, say: Say) -> Int[np.ndarray, " staying"] | None:
        left, rows, memory = decide(plan, place, say, batch.memory)
        for some in left:
            batch.resolve(batch.alive[some.rows], some.said, some.exit_index)
        if rows is not None:
            batch.alive = batch.alive[rows]
        batch.memory = memory
        return rows

    with running():
        said = plan.executor.drive(inputs, stop) if plan.stops else plan.executor.whole(inputs)
        if said is None:
            return Outcome(batch.output, batch.exit_index, batch.score, {}, batch.alive[:0])
        batch.resolve(batch.alive, said, len(plan.configuration.enabled))
    return Outcome(batch.output, batch.exit_index, batch.score, said.full, batch.alive)
