"""Clients that send more than the server takes, or read less than it tells."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from websockets.asyncio.client import connect

from offramp.serve.batcher import Batching
from offramp.serve.limits import Limits
from offramp.serve.room import Load, Room
from offramp.serve.streams import MOST_UNREAD
from tests.builds import images
from tests.serve.asgi import INFER, SOCKET, Channel, Hosted
from tests.serve.process import Running, body, message
from tests.serve.world import deployment

X = images(4, 5).numpy()


class Gate:
    """A model that waits until it is let go, and remembers how much waited for it at most."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.made = deployment()

    def __call__(self, stacked: Any) -> Any:
        assert self.go.wait(20)
        return self.made.arranged(stacked)

    def hosted(self, **wishes: Any) -> Hosted:
        return Hosted(replace(self.made, arranged=self), **wishes)


async def until(host: Hosted, waiting: int) -> None:
    async with asyncio.timeout(20):
        while host.endpoint.engine.waiting != waiting:
            await asyncio.sleep(0.001)


def test_a_socket_that_sends_more_than_the_queue_takes_waits_and_gets_all_its_answers() -> None:
    gate = Gate()
    host = gate.hosted(batching=Batching(2, 0.0, 8))

    async def talk() -> list[Any]:
        async with host.socket() as channel:
            for number in range(50):
                channel.say(body(X[:2], id=str(number)).decode())
            await asyncio.sleep(0.2)
            assert not gate.go.is_set()
            assert channel.from_server.empty()  # nothing was refused
            assert channel.to_server.qsize() >= 40  # most was not even read
            assert host.endpoint.engine.waiting <= 4  # half of the queue
            status, _, _ = await host.ask(INFER, body(images(9, 5).numpy()))
            assert status == 413
            gate.go.set()
            return [await channel.hear() for _ in range(100)]

    try:
        found = asyncio.run(talk())
    finally:
        host.close()
    assert {(one["id"], one["parameters"]["item"]) for one in found} == {(str(n), i) for n in range(50) for i in (0, 1)}


def test_others_are_answered_while_a_socket_sends_without_end() -> None:
    host = Hosted(batching=Batching(4, 0.0, 16))

    async def talk() -> list[int]:
        async with host.socket() as channel:

            async def flood() -> None:
                while True:
                    if channel.to_server.qsize() < 20:
                        channel.say(body(X).decode())
                    await asyncio.sleep(0)

            async def read() -> None:
                while True:
                    assert "error" not in await channel.hear()

            both = asyncio.gather(flood(), read())
            found = [(await host.ask(INFER, body(X)))[0] for _ in range(30)]
            both.cancel()
            assert not isinstance((await asyncio.gather(both, return_exceptions=True))[0], AssertionError)
            return found

    try:
        assert asyncio.run(talk()) == [200] * 30
    finally:
        host.close()


def test_a_request_larger_than_the_queue_is_still_an_error() -> None:
    host = Hosted(batching=Batching(4, 0.0, 16))

    async def talk() -> None:
        async with host.socket() as channel:
            channel.say(body(images(17, 5).numpy(), id="big").decode())
            channel.say(body(images(16, 5).numpy(), id="whole").decode())
            said = await channel.hear()
            assert (said["id"], said["status"]) == ("big", 413)
            assert {(await channel.hear())["parameters"]["item"] for _ in range(16)} == set(range(16))

    try:
        asyncio.run(talk())
    finally:
        host.close()


@asynccontextmanager
async def crowded(host: Hosted) -> AsyncIterator[list[Channel]]:
    """Four sockets of which each asks twice: one request runs, two are in the queue of four samples, the rest waits."""
    async with AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(host.socket()) for _ in range(4)]
        for number, channel in enumerate(channels):
            for _ in range(2):
                channel.say(
                    body(X[:2], id=str(number), parameters={"deadline_ms": 60_000 if number < 3 else 50}).decode()
                )
            await until(host, [0, 2, 4, 4][number])
        await asyncio.sleep(0.3)
        assert all(channel.from_server.empty() for channel in channels)
        yield channels


def test_who_waits_for_the_queue_is_told_when_the_server_goes_down() -> None:
    gate = Gate()
    host = gate.hosted(batching=Batching(2, 0.0, 4))

    async def talk() -> None:
        async with crowded(host) as channels:
            host.endpoint.engine.refuse()
            gate.go.set()
            for channel in channels[:3]:
                assert {(await channel.hear())["parameters"]["item"] for _ in range(2)} == {0, 1}
                assert (await channel.hear())["status"] == 503
            assert [(await channels[3].hear())["status"] for _ in range(2)] == [503, 503]

    try:
        asyncio.run(talk())
    finally:
        host.close()


def test_a_deadline_runs_while_a_request_waits_for_the_queue() -> None:
    gate = Gate()
    host = gate.hosted(batching=Batching(2, 0.0, 4))

    async def talk() -> None:
        async with crowded(host) as channels:
            gate.go.set()
            for channel in channels[:3]:
                assert all(["outputs" in await channel.hear() for _ in range(4)])
            assert [(await channels[3].hear())["status"] for _ in range(2)] == [504, 504]

    try:
        asyncio.run(talk())
    finally:
        host.close()


@pytest.mark.parametrize("kind", ["requests", "nonsense"])
def test_who_never_reads_is_read_no_more_and_lets_others_be(kind: str) -> None:
    host = Hosted(limits=Limits(patience=60.0))
    said = body(X).decode() if kind == "requests" else "{"

    async def talk() -> int:
        async with host.socket() as channel:
            for _ in range(20 * MOST_UNREAD):
                channel.say(said)
            left = -1
            while left != channel.to_server.qsize() or not host.endpoint.engine.idle:
                left = channel.to_server.qsize()
                await asyncio.sleep(0.3)
            assert (await host.ask(INFER, body(X)))[0] == 200
            assert host.endpoint.engine.waiting == 0
            assert not host.idle()
        await host.finished()
        return left

    try:
        left = asyncio.run(talk())
    finally:
        host.close()
    assert left > 18 * MOST_UNREAD - 20


def test_who_reads_nothing_for_too_long_is_let_go() -> None:
    host = Hosted(limits=Limits(patience=0.2))

    async def talk() -> None:
        channel = Channel(unread=2)
        ended = asyncio.create_task(host.serve(channel))
        for _ in range(3 * MOST_UNREAD):
            channel.say(body(X).decode())
        await asyncio.wait_for(ended, 20)
        await host.finished()
        assert (await host.ask(INFER, body(X)))[0] == 200

    try:
        asyncio.run(talk())
    finally:
        host.close()


def test_room_is_for_one_large_request_or_several_small_ones() -> None:
    async def talk() -> None:
        room = Room(Load(3, 10, 100))
        await room.take(Load(1, 50, 500))
        waiting = asyncio.create_task(room.take(Load(1, 1, 1)))
        await asyncio.sleep(0)
        assert not waiting.done()
        room.give(Load(1, 50, 500))
        await waiting
        for load, fits in ((Load(1, 9, 1), True), (Load(1, 1, 1), False)):
            waiting = asyncio.create_task(room.take(load))
            await asyncio.sleep(0)
            assert waiting.done() == fits
        room.give(Load(1, 9, 1))
        await waiting
        waiting = asyncio.create_task(room.take(Load(1, 1, 99)))
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()

    asyncio.run(talk())


def test_a_process_does_not_grow_for_one_who_never_reads(server: Running) -> None:
    """Over a real socket: one who sends as long as it can and reads nothing; others are answered meanwhile."""
    sending = message(images(24, 5).numpy(), False)
    slow = socket.create_connection(("127.0.0.1", server.port))
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    async def talk() -> int:
        url, sent = f"ws://127.0.0.1:{server.port}{SOCKET}", 0
        async with connect(url, sock=slow, ping_interval=None, close_timeout=0.1, compression=None) as channel:
            channel.transport.pause_reading()
            with suppress(TimeoutError):
                while sent < 20_000:
                    await asyncio.wait_for(channel.send(sending), 2)
                    sent += 1
            assert (await asyncio.to_thread(server.ask, INFER, body(X)))[0] == 200
            channel.transport.abort()
        return sent

    before = server.memory
    sent = asyncio.run(talk())
    assert sent < 5000
    assert server.memory - before < 20_000 * len(sending) // 10  # of what it would have sent
