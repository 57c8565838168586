"""Load generators: so many callers who each wait for their reply, or requests that come whether replies do or not."""

import asyncio
import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

LIMIT = 512
"""Connections that an open loop may have; a request that finds none free counts its waiting as latency."""


@dataclass(frozen=True)
class Target:
    """What is asked.

    Attributes:
        name: of the contestant.
        port: on this machine.
        requests: whole HTTP requests, sent in turn.
    """

    name: str
    port: int
    requests: Sequence[bytes]


@dataclass
class Heard:
    """What came back.

    Attributes:
        seconds: from when a request was due to the end of its reply.
        at: when each reply ended, since the beginning.
        refused: replies that were no answers.
        replies: bodies of answers, if they are wanted, each with the number of its request.
    """

    seconds: list[float] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    refused: int = 0
    replies: list[tuple[int, Any]] | None = None


def http(port: int, path: str, body: bytes, **headers: str) -> bytes:
    """A POST as it goes over the wire."""
    lines = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Caller:
    """One connection that stays open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """The status and the body of the reply; a connection that was closed, since it was idle, is made anew."""
        if self._streams is None or self._streams[0].at_eof():
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        return int(head[9:12]), await reader.readexactly(length)

    def close(self) -> None:
        """Hangs up."""
        if self._streams is not None:
            self._streams[1].close()


async def closed(target: Target, callers: int, seconds: float) -> Heard:
    """So many callers, each of whom asks again as soon as it has its reply."""
    heard, number, began = Heard(), itertools.count(), time.perf_counter()

    async def calls() -> None:
        caller = Caller(target.port)
        while (sent := time.perf_counter()) - began < seconds:
            await _one(caller, target, next(number), sent, began, heard)
        caller.close()

    await asyncio.gather(*(calls() for _ in range(callers)))
    return heard


async def once(target: Target, callers: int = 4) -> Heard:
    """Every request once; the replies are kept."""
    heard, numbers, began = Heard(replies=[]), iter(range(len(target.requests))), time.perf_counter()

    async def calls() -> None:
        caller = Caller(target.port)
        for number in numbers:
            await _one(caller, target, number, time.perf_counter(), began, heard)
        caller.close()

    await asyncio.gather(*(calls() for _ in range(callers)))
    return heard


async def opened(target: Target, rate: float, seconds: float, seed: int) -> Heard:
    """Requests that come at random, `rate` of them a second on average, also when earlier ones wait (Poisson)."""
    heard, began, rng = Heard(), time.perf_counter(), np.random.default_rng(seed)
    free: asyncio.LifoQueue[Caller] = asyncio.LifoQueue()
    for _ in range(LIMIT):
        free.put_nowait(Caller(target.port))
    running: set[asyncio.Task[None]] = set()

    async def one(number: int, due: float) -> None:
        caller = await free.get()
        await _one(caller, target, number, due, began, heard)
        free.put_nowait(caller)

    due, number = began, 0
    while (due := due + float(rng.exponential(1.0 / rate))) < began + seconds:
        await asyncio.sleep(max(due - time.perf_counter(), 0.0))
        task = asyncio.ensure_future(one(number, due))
        running.add(task)
        task.add_done_callback(running.discard)
        number += 1
    await asyncio.gather(*running)
    while not free.empty():
        free.get_nowait().close()
    return heard


async def _one(caller: Caller, target: Target, number: int, due: float, began: float, heard: Heard) -> None:
    status, body = await caller.ask(target.requests[number % len(target.requests)])
    now = time.perf_counter()
    if status != 200:
        heard.refused += 1
        return
    heard.seconds.append(now - due)
    heard.at.append(now - began)
    if heard.replies is not None:
        heard.replies.append((number % len(target.requests), json.loads(body)))
