"""Clients that leave, poison, or come in crowds: they harm themselves alone."""

import asyncio
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offramp.serve.batcher import Batching
from offramp.serve.streams import MOST_UNREAD
from tests.builds import bundle, images
from tests.serve.asgi import INFER, Channel, Hosted
from tests.serve.process import Running, body, message, raw, running
from tests.serve.world import deployment

STREAM = "/v2/models/toy/infer_stream"
X = images(6, 5).numpy()


class Held:
    """A model that waits before each batch, and counts the samples of each."""

    def __init__(self) -> None:
        self.go, self.sizes = threading.Semaphore(0), list[int]()
        self.made = deployment()

    def __call__(self, stacked: Any) -> Any:
        self.sizes.append(len(stacked["input0"]))
        assert self.go.acquire(timeout=20)
        return self.made.arranged(stacked)

    def hosted(self, **wishes: Any) -> Hosted:
        return Hosted(replace(self.made, arranged=self), **wishes)


async def waiting(host: Hosted, samples: int) -> None:
    async with asyncio.timeout(20):
        while host.endpoint.engine.waiting != samples:
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("way", [INFER, STREAM, "socket"])
def test_who_leaves_is_run_no_more_and_the_others_of_the_batch_are_answered(way: str) -> None:
    """The first batch holds the model; behind it two requests wait, of which one client leaves."""
    held = Held()
    host = held.hosted(batching=Batching(16))

    async def talk() -> None:
        first = asyncio.create_task(host.ask(INFER, body(X[:1])))
        async with asyncio.timeout(20):
            while not held.sizes:
                await asyncio.sleep(0.001)
        gone = asyncio.Event()
        channel = Channel()
        if way == "socket":
            leaving: asyncio.Task[Any] = asyncio.create_task(host.serve(channel))
            channel.say(message(X[:3]))
        else:
            leaving = asyncio.create_task(host.ask(way, body(X[:3]), "POST", gone))
        await waiting(host, 3)
        staying = asyncio.create_task(host.ask(INFER, body(X[:2])))
        await waiting(host, 5)
        gone.set()
        channel.leave()
        await asyncio.wait_for(leaving, 20)
        held.go.release(10)
        assert [(await one)[0] for one in (first, staying)] == [200, 200]
        await host.finished()

    try:
        asyncio.run(talk())
    finally:
        host.close()
    assert held.sizes == [1, 2]


def test_who_leaves_while_its_batch_runs_is_dropped_at_the_next_exit() -> None:
    held = Held()
    host = held.hosted(batching=Batching(16))

    async def talk() -> None:
        async with host.socket() as staying:
            gone = asyncio.Event()
            first = asyncio.create_task(host.ask(INFER, body(X[:1])))
            while not held.sizes:
                await asyncio.sleep(0.001)
            leaving = asyncio.create_task(host.ask(INFER, body(X[:3]), "POST", gone))
            staying.say(message(X[:2], False, request_id="stays"))
            await waiting(host, 5)
            held.go.release(1)
            await first
            async with asyncio.timeout(20):
                while len(held.sizes) < 2:  # both are in the model now
                    await asyncio.sleep(0.001)
            gone.set()
            assert (await leaving)[0] == 499
            held.go.release(10)
            found = [await staying.hear() for _ in range(2)]
            assert sorted(one["parameters"]["item"] for one in found) == [0, 1]
            await host.finished()
            assert host.endpoint.engine.waiting == 0

    try:
        asyncio.run(talk())
    finally:
        host.close()
    assert held.sizes == [1, 5]


def test_who_says_nonsense_reads_nothing_and_leaves_is_forgotten() -> None:
    host = Hosted()

    async def talk() -> None:
        channel = Channel(unread=2)
        served = asyncio.create_task(host.serve(channel))
        for _ in range(3 * MOST_UNREAD):
            channel.say("{")
        before = -1
        while before != channel.to_server.qsize():
            before = channel.to_server.qsize()
            await asyncio.sleep(0.1)
        assert before > 0
        channel.leave()
        for _ in range(2):  # the server writes on, and hears that nobody is there
            channel.from_server.get_nowait()
        await asyncio.wait_for(served, 20)
        await host.finished()

    try:
        asyncio.run(talk())
    finally:
        host.close()


@pytest.fixture(scope="module")
def plain(folder: Path) -> Iterator[Running]:
    with running(folder, "--max-queue", "64", "--max-batch-size", "4") as found:
        yield found


def exchanged(server: Running, sent: list[bytes]) -> bytes:
    """What a server says to bytes, of which it need not read all."""
    with socket.create_connection(("127.0.0.1", server.port), 30) as channel:
        try:
            for part in sent:
                channel.sendall(part)
        except OSError:
            pass
        reply = b""
        try:
            while part := channel.recv(65536):
                reply += part
                if b'"}' in part:
                    break
        except OSError:
            pass
    return reply


HEAD = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode()
MEGABYTE = bytes(2**20)
NAN, SHAPE = X * np.float32("nan"), X[:, :, 1:]
POISON: dict[str, tuple[list[bytes], int]] = {
    "nan": ([HEAD, b"Content-Length: %d\r\n\r\n" % len(body(NAN)), body(NAN)], 400),
    "raw nan": (
        [
            HEAD,
            b"Inference-Header-Content-Length: %d\r\nContent-Length: %d\r\n\r\n" % (raw(NAN)[1], len(raw(NAN)[0])),
            raw(NAN)[0],
        ],
        400,
    ),
    "shape": ([HEAD, b"Content-Length: %d\r\n\r\n" % len(body(SHAPE)), body(SHAPE)], 400),
    "hundred megabytes": ([HEAD, b"Content-Length: %d\r\n\r\n" % (100 * 2**20), MEGABYTE], 413),
    "hundred megabytes in chunks": (
        [HEAD, b"Transfer-Encoding: chunked\r\n\r\n", *[b"100000\r\n" + MEGABYTE + b"\r\n"] * 100, b"0\r\n\r\n"],
        413,
    ),
    "no number": ([HEAD, b"Inference-Header-Content-Length: -5\r\nContent-Length: 2\r\n\r\n{}"], 400),
    "beyond the body": ([HEAD, b"Inference-Header-Content-Length: 999\r\nContent-Length: 2\r\n\r\n{}"], 400),
    "compressed": ([HEAD, b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"], 415),
}


@pytest.mark.parametrize("kind", POISON)
def test_poison_fails_alone(plain: Running, kind: str) -> None:
    sent, expected = POISON[kind]
    right = bundle().use("full")(images(6, 5)).output.numpy()
    wish = body(X, parameters={"operating_point": "full"})
    with ThreadPoolExecutor(4) as pool:
        others = [pool.submit(plain.ask, INFER, wish) for _ in range(8)]
        poisoned = [pool.submit(exchanged, plain, sent) for _ in range(2)]
        for one in poisoned:
            head, _, told = one.result().partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 %d" % expected), head[:200]
            assert list(json.loads(told)) == ["error"]
        for other in others:
            status, reply = other.result()
            assert status == 200
            np.testing.assert_allclose(reply["outputs"][0]["data"], right.ravel(), rtol=1e-4, atol=1e-5)
    assert plain.memory < 2 * 2**30


def test_a_crowd_is_told_to_come_back_and_nobody_is_lost(folder: Path) -> None:
    """More clients than the queue holds samples of: each is answered right, or told 503 and when to come back."""
    sent, said = body(X), list[Any]()

    def asked(port: int) -> tuple[int, str | None]:
        request = urllib.request.Request(f"http://127.0.0.1:{port}{INFER}", sent)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return reply.status, None
        except urllib.error.HTTPError as error:
            with error:
                said.append(json.loads(error.read()))
                return error.code, error.headers["Retry-After"]

    options = ("--max-queue", "12", "--max-batch-size", "8", "--max-queue-delay-ms", "50")
    with running(folder, *options) as server, ThreadPoolExecutor(24) as pool:
        found = list(pool.map(lambda _: asked(server.port), range(120)))
        time.sleep(0.1)
        assert asked(server.port) == (200, None)
    assert {status for status, _ in found} == {200, 503}
    assert all(list(one) == ["error"] for one in said)
    assert {after for status, after in found if status == 503} == {"1"}


def test_clients_that_break_off_leave_nothing_behind(plain: Running) -> None:
    """Broken off in the middle of a body, and right behind it, many times."""
    sent = HEAD + b"Content-Length: %d\r\n\r\n" % len(body(X)) + body(X)
    for at in [*range(10, len(sent), len(sent) // 20), len(sent)]:
        with socket.create_connection(("127.0.0.1", plain.port), 30) as channel:
            channel.sendall(sent[:at])
    for _ in range(20):
        status, _ = plain.ask(INFER, body(X))
        assert status in (200, 503)
    asked = plain.ask("/v2/models/toy/stats", how="GET")[1]["model_stats"][0]
    assert asked["inference_stats"]["fail"]["count"] == 0
