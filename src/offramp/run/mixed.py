"""A batch whose samples come from different requests: each has thresholds of its own, and someone who waits for it.

The loop of `run.loop` in the form that a server needs; with equal thresholds for all it gives the same answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from offramp.arrays import Bool, Float, Int
from offramp.decide.rule import Memory, Rule
from offramp.run.buffers import running
from offramp.run.executor import Executor, Said, Say

NOT_ASKED = np.inf
"""Threshold of an exit that a sample passes without being asked."""


@dataclass(frozen=True, eq=False)
class Heard:
    """What an exit says about those who were asked there.

    Attributes:
        who: their positions in the batch.
        said: about each of them.
        exit_index: which exit; the last number is the backbone itself.
        leaving: who leaves here.
        forced: who leaves though the threshold is not reached.
    """

    who: Int[np.ndarray, " some"]
    said: Said
    exit_index: int
    leaving: Bool[np.ndarray, " some"]
    forced: Bool[np.ndarray, " some"]


@runtime_checkable
class Waiting(Protocol):
    """Whoever waits for the answers to a batch."""

    def heard(self, one: Heard) -> Bool[np.ndarray, " some"]:
        """Hears what an exit says.

        Returns:
            Which of those who were asked go on: all that do not leave, but for those that nobody waits for any more;
            and those that leave and are to be compared with the backbone's own answer, the next that is heard of them.
        """
        ...

    def hurried(self, who: Int[np.ndarray, " some"]) -> Bool[np.ndarray, " some"]:
        """Which of them must leave at the exit that they are asked at now."""
        ...


@dataclass(frozen=True, eq=False)
class Mixed:
    """Runs batches of samples with different operating points on one executor.

    Attributes:
        executor: made for all exits that any of them may leave at.
        stops: for each place where it stops, by depth, the exits there.
        rule: how scores decide.
        exits: how many there are, the backbone's own not counted.
    """

    executor: Executor
    stops: tuple[tuple[int, ...], ...]
    rule: Rule
    exits: int

    def run(
        self,
        inputs: Any,
        threshold: Float[np.ndarray, "exits samples"],
        last: Int[np.ndarray, " samples"],
        waiting: Waiting,
    ) -> None:
        """Answers every sample of a batch once.

        Where nobody is asked at any exit this is the backbone itself, bit for bit.

        Args:
            inputs: as the executor takes them.
            threshold: of each exit for each sample; `NOT_ASKED` where it is off for it.
            last: the exit that each sample leaves at whatever its score is; `exits` where there is none.
            waiting: hears the answers, in the order in which they are known.

        Raises:
            DataError: if the model cannot take the inputs.
        """
        samples = self.executor.samples(inputs)
        memory = self.rule.start(samples)
        way = Way(np.arange(samples), memory, threshold.copy(), last, waiting, self.stops, self.rule)
        with running():
            asked = bool((threshold < NOT_ASKED).any())
            said = self.executor.drive(inputs, way.stop) if asked else self.executor.whole(inputs)
        if said is not None:
            everyone = np.ones(len(way.alive), bool)
            waiting.heard(Heard(way.alive, said, self.exits, everyone, ~everyone))


class Way:
    """Who is still under way in a batch.

    Attributes:
        alive: positions in the batch of those who are.
        memory: what the rule remembers of each of them.
        threshold: of each exit for each sample of the batch; exits that are not asked any more are written to it.
    """

    def __init__(
        self,
        alive: Int[np.ndarray, " alive"],
        memory: Memory,
        threshold: Float[np.ndarray, "exits samples"],
        last: Int[np.ndarray, " samples"],
        waiting: Waiting,
        stops: tuple[tuple[int, ...], ...],
        rule: Rule,
    ) -> None:
        """A batch on its way; `stops` and `rule` are those of `Mixed`, the others as `Mixed.run` takes them."""
        self.alive, self.memory, self.threshold, self._last = alive, memory, threshold, last
        self._waiting, self._stops, self._rule = waiting, stops, rule

    def stop(self, place: int, say: Say) -> Int[np.ndarray, " staying"] | None:
        """Asks the exits at a place; the rows that stay, or None for all."""
        staying = np.ones(len(self.alive), bool)
        for exit_ in self._stops[place]:
            limit = self.threshold[exit_, self.alive]
            rows = np.flatnonzero(staying & (limit < NOT_ASKED))
            if len(rows):
                staying[rows] = self._ask(exit_, rows, limit[rows], say(exit_))
        if staying.all():
            return None
        rows = np.flatnonzero(staying)
        self.alive = self.alive[rows]
        self.memory = None if self.memory is None else self.memory[rows]
        return rows

    def _ask(
        self, exit_: int, rows: Int[np.ndarray, " asked"], limit: Float[np.ndarray, " asked"], said: Said
    ) -> Bool[np.ndarray, " asked"]:
        """Which of those who are asked stay."""
        who, memory = self.alive[rows], None if self.memory is None else self.memory[rows]
        # in double precision, since a threshold is not rounded to single
        decisive, memory = self._rule.step(said.score[rows].astype(np.float64), memory)
        if self.memory is not None:
            self.memory[rows] = memory
        sure = decisive >= limit
        leaving = sure | (self._last[who] == exit_) | self._waiting.hurried(who)
        answers = Said(said.logits[rows], decisive.astype(said.score.dtype))
        staying = self._waiting.heard(Heard(who, answers, exit_, leaving, leaving & ~sure))
        self.threshold[:, who[leaving]] = NOT_ASKED  # answered; who stays all the same is compared at the end
        return staying


def column(enabled: Sequence[bool], threshold: Sequence[float]) -> Float[np.ndarray, " exits"]:
    """An operating point's thresholds as `Mixed.run` takes them for a sample.

    >>> column((True, False, True), (0.9, 0.5, 0.8)).tolist()
    [0.9, inf, 0.8]
    """
    found: np.ndarray = np.where(enabled, np.asarray(threshold, np.float64), NOT_ASKED)
    return found
