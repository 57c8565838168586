"""Answers from the thread of the batches to a coroutine that waits for them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from offramp.serve.errors import RefusedError
from offramp.serve.sample import Answer

Event = tuple[int, "Answer | RefusedError"]
"""The number of a sample in its request, and what is heard of it."""


class All:
    """Waits until every sample of a request has its final answer."""

    def __init__(self, samples: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._answers: list[Answer | None] = [None] * samples
        self._missing = samples
        self.future: asyncio.Future[list[Answer]] = self._loop.create_future()

    def heard(self, number: int, answer: "Answer | RefusedError") -> None:
        """Called in the thread of the batches."""
        if isinstance(answer, RefusedError):
            self._missing = -1
            self._tell(answer)
        elif answer.final:
            self._answers[number] = answer
            self._missing -= 1
            if self._missing == 0:
                self._tell(None)

    def _tell(self, error: RefusedError | None) -> None:
        with suppress(RuntimeError):  # the loop is closed, and nobody waits
            self._loop.call_soon_threadsafe(self._set, error)

    def _set(self, error: RefusedError | None) -> None:
        if self.future.done():
            return
        if error is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result([answer for answer in self._answers if answer is not None])


class Each:
    """Gives every answer as soon as it is heard, until each sample has its final one."""

    def __init__(self, samples: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Event] = asyncio.Queue()
        self._missing = samples

    def heard(self, number: int, answer: "Answer | RefusedError") -> None:
        """Called in the thread of the batches."""
        with suppress(RuntimeError):  # the loop is closed, and nobody waits
            self._loop.call_soon_threadsafe(self._queue.put_nowait, (number, answer))

    async def __aiter__(self) -> AsyncIterator[Event]:
        """The answers in the order in which they become known."""
        while self._missing:
            number, answer = await self._queue.get()
            self._missing -= isinstance(answer, RefusedError) or answer.final
            yield number, answer
