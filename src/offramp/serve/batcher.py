"""Waits for more requests: the samples of all in one queue, from which batches are taken. Free of any framework."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, runtime_checkable

from offramp.errors import InputError
from offramp.serve.errors import BusyError, FullError, TooLargeError


@runtime_checkable
class Queued(Protocol):
    """What can wait in the queue."""

    @property
    def kind(self) -> Hashable:
        """Equal for those that can be in one batch."""
        ...


T = TypeVar("T", bound=Queued)

LOG = logging.getLogger("offramp.serve")


@dataclass(frozen=True)
class Batching:
    """How members of several requests come together.

    Attributes:
        max_batch_size: members of a batch.
        max_delay: seconds that the oldest waits for others.
        max_queue: members that may wait.
    """

    max_batch_size: int = 32
    max_delay: float = 0.0
    max_queue: int = 1024

    def __post_init__(self) -> None:
        if self.max_batch_size < 1 or self.max_queue < 1 or not 0 <= self.max_delay < float("inf"):
            raise InputError(
                f"expected batches and a queue of at least 1 and a delay of at least 0 s, got {self.max_batch_size}, "
                f"{self.max_queue} and {self.max_delay}"
            )

    def check(self, members: int) -> None:
        """Whether so many could ever wait at once.

        Raises:
            TooLargeError: if not.
        """
        if members > self.max_queue:
            raise TooLargeError(
                f"expected at most {self.max_queue} samples in a request, got {members}; send fewer at a time"
            )


class Batcher(Generic[T]):
    """One thread that runs batches of what was submitted, the oldest first.

    A batch is run as soon as it is full, or its oldest member has waited long enough. While one is running the next
    gathers, so that a delay of 0 costs nothing where there is little to do, and makes full batches where there is much.
    """

    def __init__(
        self,
        run: Callable[[list[T]], None],
        batching: Batching,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts the thread.

        Args:
            run: runs a batch and answers its members, also where it fails; must not raise.
            batching: how members come together.
            clock: tells the time in seconds.
        """
        self._batching = batching
        self._run, self._clock = run, clock
        self._queue: deque[tuple[float, T]] = deque()
        self._changed = threading.Condition()
        self._closing = self._running = False
        self._thread = threading.Thread(target=self._work, name="offramp-batches", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many members wait."""
        return len(self._queue)

    @property
    def open(self) -> bool:
        """Whether it takes members."""
        return not self._closing

    @property
    def idle(self) -> bool:
        """Whether all that was taken has been run."""
        with self._changed:
            return not self._queue and not self._running

    def takes(self, members: int) -> bool:
        """Whether it is worth submitting so many: there is room for them now, or it is closing and will say so."""
        return self._closing or len(self._queue) + members <= self._batching.max_queue

    def submit(self, members: Sequence[T]) -> None:
        """Puts all of them into the queue, or none.

        Raises:
            FullError: if there is no room for all of them now.
            BusyError: if the batcher is closing.
            TooLargeError: if there never is.
        """
        self._batching.check(len(members))
        now = self._clock()
        with self._changed:
            if self._closing:
                raise BusyError("the server is going down; ask another one")
            if len(self._queue) + len(members) > self._batching.max_queue:
                raise FullError(f"the queue of {self._batching.max_queue} samples is full; try again later")
            self._queue.extend((now, member) for member in members)
            self._changed.notify()

    def refuse(self) -> None:
        """Takes nothing more; what waits is still run."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    def close(self, timeout: float | None = None) -> bool:
        """Runs what waits and stops; True where that was done within so many seconds."""
        self.refuse()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (batch := self._next()) is not None:
            try:
                self._run(batch)
            except Exception:  # a defect of `run`; those who come later must not wait for ever
                LOG.exception("a batch of %d was given up", len(batch))

    def _next(self) -> list[T] | None:
        """The next batch, once it is time for it; None when everything is done."""
        with self._changed:
            self._running = False
            while True:
                if not self._queue:
                    if self._closing:
                        return None
                    self._changed.wait()
                    continue
                left = self._queue[0][0] + self._batching.max_delay - self._clock()
                if self._closing or left <= 0 or len(self._queue) >= self._batching.max_batch_size:
                    return self._taken()
                self._changed.wait(left)

    def _taken(self) -> list[T]:
        """The oldest and those of its kind behind it; others keep their places."""
        kind = self._queue[0][1].kind
        batch: list[T] = []
        others: list[tuple[float, T]] = []
        while self._queue and len(batch) < self._batching.max_batch_size:
            since, member = self._queue.popleft()
            if member.kind == kind:
                batch.append(member)
            else:
                others.append((since, member))
        self._queue.extendleft(reversed(others))
        self._running = True
        return batch
