"""Back-pressure: what one client may have under way, and where requests wait for the queue to have room for them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from offramp.serve.aside import aside
from offramp.serve.endpoint import Asked, Listener, Wish
from offramp.serve.errors import FullError
from offramp.serve.hosting import Host
from offramp.serve.protocol import InferRequest

TICK = 0.002
"""Seconds between two looks at a full queue; only the first of those that wait looks."""


@dataclass(frozen=True)
class Load:
    """What requests weigh.

    Attributes:
        requests: how many.
        samples: in them.
        size: their bytes.
    """

    requests: int
    samples: int
    size: int

    def __add__(self, other: "Load") -> "Load":
        return Load(self.requests + other.requests, self.samples + other.samples, self.size + other.size)

    def __sub__(self, other: "Load") -> "Load":
        return Load(self.requests - other.requests, self.samples - other.samples, self.size - other.size)

    def within(self, most: "Load") -> bool:
        """Whether none of it is more."""
        return self.requests <= most.requests and self.samples <= most.samples and self.size <= most.size


class Room:
    """What one client may have under way.

    A request takes room before it goes into the queue and gives it back once its answers are on their way to the
    client, so that one who does not read cannot ask for ever. One that is larger than the room has it for itself.
    """

    def __init__(self, most: Load) -> None:
        self._most, self._taken = most, Load(0, 0, 0)
        self._given = asyncio.Event()

    async def take(self, load: Load) -> None:
        """Waits until there is room for it; only one may wait."""
        while self._taken.requests and not (self._taken + load).within(self._most):
            self._given.clear()
            await self._given.wait()
        self._taken += load

    def give(self, load: Load) -> None:
        """Gives it back."""
        self._taken -= load
        self._given.set()


class Waiters:
    """Where requests wait for the queue to have room for them, one behind the other."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._first = asyncio.Lock()

    async def ask(self, asked: InferRequest, wish: Wish, listener: Listener, size: int) -> Asked:
        """Puts a request into the queue as soon as it has room; a deadline runs meanwhile.

        Raises:
            RefusedError: what `Endpoint.ask` raises, but for a full queue.
        """
        now = asyncio.get_running_loop().time
        began = now()

        async def attempt() -> Asked:
            left = wish if wish.deadline is None else replace(wish, deadline=wish.deadline - (now() - began))
            return await aside(size, self._host.endpoint.ask, asked.inputs, left, listener)

        if not self._first.locked():
            try:
                return await attempt()
            except FullError:
                pass
        async with self._first:
            while True:
                await _until(lambda: self._host.endpoint.engine.takes(asked.samples))
                try:
                    return await attempt()
                except FullError:  # somebody else was quicker
                    continue


async def _until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(TICK)
