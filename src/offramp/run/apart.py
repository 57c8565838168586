"""One stage by itself: groups of samples of different requests in, what they are told and who goes on out."""

import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence

import numpy as np

from offramp.arrays import Bool, Int
from offramp.decide.rule import Rule
from offramp.errors import DataError
from offramp.run.buffers import running
from offramp.run.executor import Said
from offramp.run.group import Failed, Group, Told, joined
from offramp.run.mixed import Heard, Way
from offramp.run.stepwise import Stepwise


class Apart:
    """A stage that knows neither the one before it nor the one behind.

    What it decides is what the loop of `run.mixed` decides when it comes to this stage.
    """

    def __init__(
        self,
        executor: Stepwise,
        exits: tuple[int, ...],
        rule: Rule,
        last: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """The stage.

        Args:
            executor: made for this stage alone.
            exits: those at its end, by depth; of the last stage the backbone's own.
            rule: how scores decide.
            last: whether no stage is behind it.
            clock: tells the time in seconds.
        """
        self._executor, self._exits, self._rule, self._last, self._clock = executor, exits, rule, last, clock

    def answers(self, groups: Sequence[Group]) -> list[Told | Failed]:
        """What each group is told; those of equal shapes are run together, and one that fails harms no other."""
        alike: dict[Hashable, list[int]] = defaultdict(list)
        for index, group in enumerate(groups):
            alike[self._executor.kind(list(group.state))].append(index)
        found: dict[int, Told | Failed] = {}
        for indices in alike.values():
            found.update(zip(indices, self._together([groups[index] for index in indices]), strict=True))
        return [found[index] for index in range(len(groups))]

    def _together(self, groups: Sequence[Group]) -> Sequence[Told | Failed]:
        try:
            told = self.run(joined(groups))
        except Exception as error:
            if len(groups) == 1:
                return [Failed(str(error)[:300], isinstance(error, DataError))]
            return [one for group in groups for one in self._together([group])]
        return _parted(told, [group.samples for group in groups])

    def run(self, group: Group) -> Told:
        """What a group is told."""
        with running():
            if self._last:
                said = self._executor.end(list(group.state))
                everyone = np.arange(group.samples)
                return Told((_at_the_end(said, everyone, self._exits[0]),), everyone[:0], None)
            state, say = self._executor.advance(0, list(group.state))
            notes = _Notes(group, self._clock)
            alive, threshold = np.arange(group.samples), group.threshold.copy()
            memory = None if group.memory is None else group.memory.copy()
            way = Way(alive, memory, threshold, group.last, notes, (self._exits,), self._rule)
            way.stop(0, say)
            if not len(way.alive):
                return Told(tuple(notes.heard_), way.alive, None)
            kept = group.rows(way.alive)
            staying = Group(
                tuple(self._executor.take(state, way.alive)),
                threshold[:, way.alive],
                kept.last,
                kept.until,
                kept.anytime,
                kept.onwards,
                way.memory,
            )
            return Told(tuple(notes.heard_), way.alive, staying)


class _Notes:
    """Writes down what is heard; see `run.mixed.Waiting`."""

    def __init__(self, group: Group, clock: Callable[[], float]) -> None:
        self.heard_: list[Heard] = []
        self._group, self._clock = group, clock

    def heard(self, one: Heard) -> Bool[np.ndarray, " some"]:
        """Keeps what somebody wants to know."""
        rows = np.flatnonzero(one.leaving | self._group.anytime[one.who])
        if len(rows):
            said = Said(one.said.logits[rows], one.said.score[rows])
            self.heard_.append(Heard(one.who[rows], said, one.exit_index, one.leaving[rows], one.forced[rows]))
        staying: np.ndarray = ~one.leaving | self._group.onwards[one.who]
        return staying

    def hurried(self, who: Int[np.ndarray, " some"]) -> Bool[np.ndarray, " some"]:
        """Whose time is up."""
        late: np.ndarray = self._group.until[who] <= self._clock()
        return late


def _at_the_end(said: Said, who: Int[np.ndarray, " samples"], exit_index: int) -> Heard:
    return Heard(who, said, exit_index, np.ones(len(who), bool), np.zeros(len(who), bool))


def _parted(told: Told, sizes: Sequence[int]) -> list[Told]:
    """What each of the groups is told that were run as one."""
    if len(sizes) == 1:
        return [told]
    found, first = [], 0
    for size in sizes:
        here = np.flatnonzero((told.rows >= first) & (told.rows < first + size))
        heard = tuple(one for one in (_within(one, first, size) for one in told.heard) if len(one.who))
        group = told.group.rows(here) if told.group is not None and len(here) else None
        found.append(Told(heard, told.rows[here] - first, group))
        first += size
    return found


def _within(one: Heard, first: int, size: int) -> Heard:
    rows = np.flatnonzero((one.who >= first) & (one.who < first + size))
    said = Said(one.said.logits[rows], one.said.score[rows])
    return Heard(one.who[rows] - first, said, one.exit_index, one.leaving[rows], one.forced[rows])
