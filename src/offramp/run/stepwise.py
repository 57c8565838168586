"""Executors that run one stage at a time, so that what is under way can wait and go on with others. Free of torch."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any

from offramp.arrays import Int
from offramp.run.executor import Said, Say, Stop

State = Any
"""What travels from stage to stage; executors know what is in it."""


class Stepwise(ABC):
    """An executor made of stages; see `Executor`, of which it is one.

    A state, and what exits say, is valid until the same thread runs the same stage again; `take` with no place, and
    `join`, make a state that stays. What is said at the end stays, too.
    """

    @property
    @abstractmethod
    def stops(self) -> int:
        """How many places with exits there are; the stage behind the last one gives the backbone's own answer."""

    @abstractmethod
    def samples(self, inputs: Any) -> int:
        """The size of a batch."""

    @abstractmethod
    def start(self, inputs: Any) -> State:
        """The state before the first stage."""

    @abstractmethod
    def advance(self, place: int, state: State) -> tuple[State, Say]:
        """Runs the stage before a stop: the state there, and what the exits there say."""

    @abstractmethod
    def end(self, state: State) -> Said:
        """Runs the last stage."""

    @abstractmethod
    def whole(self, inputs: Any) -> Said:
        """The backbone's own answer, uncut."""

    @abstractmethod
    def take(self, state: State, rows: Int[Any, " staying"], place: int | None = None) -> State:
        """These rows of a state; with a place the memory of that place is used again."""

    @abstractmethod
    def kind(self, state: State) -> Hashable:
        """Equal for states that can be joined."""

    @abstractmethod
    def join(self, states: Sequence[State]) -> State:
        """Several states of one kind as one, in new memory."""

    def drive(self, inputs: Any, stop: Stop) -> Said | None:
        """The backbone's own answer to those who are left at its end; see `Executor.drive`."""
        state = self.start(inputs)
        for place in range(self.stops):
            state, say = self.advance(place, state)
            rows = stop(place, say)
            if rows is None:
                continue
            if len(rows) == 0:
                return None
            state = self.take(state, rows, place)
        return self.end(state)
