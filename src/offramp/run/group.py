"""Samples that travel from stage to stage, each stage in a process of its own, and what they are told there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from offramp.arrays import Bool, Float, Int
from offramp.decide.rule import Memory
from offramp.run.mixed import Heard


@dataclass(frozen=True, eq=False)
class Group:
    """Samples before a stage, with all that has to do with them, so that any process that has the stage can go on.

    Attributes:
        state: what the stage takes, the batch first.
        threshold: of each exit for each sample; see `run.mixed`.
        last: the exit that each sample leaves at in any case.
        until: when each must leave at the next exit, by the clock of whoever holds the group; infinite: never.
        anytime: of whom each exit that is passed is told, too.
        onwards: who goes on to the end once answered, to be compared.
        memory: what the rule remembers of each.
    """

    state: tuple[np.ndarray, ...]
    threshold: Float[np.ndarray, "exits samples"]
    last: Int[np.ndarray, " samples"]
    until: Float[np.ndarray, " samples"]
    anytime: Bool[np.ndarray, " samples"]
    onwards: Bool[np.ndarray, " samples"]
    memory: Memory

    @property
    def samples(self) -> int:
        """How many there are."""
        return len(self.last)

    def shifted(self, seconds: float) -> "Group":
        """As a clock that is so many seconds ahead sees it; those of two machines have nothing in common."""
        return replace(self, until=self.until + seconds)

    def rows(self, rows: Int[np.ndarray, " some"]) -> "Group":
        """Some of them."""
        return Group(
            tuple(array[rows] for array in self.state),
            self.threshold[:, rows],
            self.last[rows],
            self.until[rows],
            self.anytime[rows],
            self.onwards[rows],
            None if self.memory is None else self.memory[rows],
        )


def joined(groups: Sequence[Group]) -> Group:
    """Several groups, whose states have equal shapes, as one."""
    if len(groups) == 1:
        return groups[0]
    memories = [one.memory for one in groups if one.memory is not None]
    return Group(
        tuple(np.concatenate(arrays) for arrays in zip(*(one.state for one in groups), strict=True)),
        np.concatenate([one.threshold for one in groups], axis=1),
        np.concatenate([one.last for one in groups]),
        np.concatenate([one.until for one in groups]),
        np.concatenate([one.anytime for one in groups]),
        np.concatenate([one.onwards for one in groups]),
        np.concatenate(memories) if memories else None,
    )


@dataclass(frozen=True, eq=False)
class Told:
    """What a stage says to a group.

    Attributes:
        heard: what each exit says, to those who leave there or asked for it; positions are those in the group.
        rows: who goes on, by their positions in the group.
        group: those who go on, before the next stage; None where nobody does.
    """

    heard: tuple[Heard, ...]
    rows: Int[np.ndarray, " staying"]
    group: Group | None


@dataclass(frozen=True)
class Failed:
    """What is said of a group that a stage could not run.

    Attributes:
        message: why.
        unfit: whether the inputs are to blame.
    """

    message: str
    unfit: bool = False
