"""Whatever comes over the wire: refused as the protocol's clients can read it, or answered; and then all goes on."""

import asyncio
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection

from offramp.serve.batcher import Batching
from offramp.serve.limits import Limits
from tests.builds import bundle
from tests.serve.asgi import INFER, Channel, Hosted
from tests.serve.process import Running, message, raw
from tests.serve.wrong import HEADERS, X, messages, requests

HEADER = "inference-header-content-length"
FEW, MANY = 250, 10_000


@cache
def expected() -> np.ndarray:
    """The right answer to `X`."""
    logits: np.ndarray = bundle().use("full")(torch.from_numpy(X)).output.numpy()
    return logits


class World:
    """An application with a loop and a socket of its own, for one call after the other."""

    def __init__(self) -> None:
        self.host = Hosted(limits=Limits(max_body=2**20), batching=Batching(8, 0.0, 64))
        self.runner = asyncio.Runner()
        self.channel = Channel(unread=1000)
        self.run(self._begin())
        self.asked = 0
        self.right()

    def right(self) -> None:
        """A request that is answered as it should be."""
        self.asked += 1
        name = f"after {self.asked}"
        sent, length = raw(X, False, request_id=name, parameters={"operating_point": "full"})
        status, _, reply = self.run(self.host.ask(INFER, sent, **{HEADER: str(length)}))
        assert status == 200
        check_right(json.loads(reply), name)
        self.run(self.host.finished())

    async def _begin(self) -> None:
        self.serving = asyncio.create_task(self.host.serve(self.channel))
        assert (await self.channel.from_server.get())["type"] == "websocket.accept"

    def run(self, what: Any) -> Any:
        return self.runner.run(what)

    def close(self) -> None:
        self.channel.leave()
        self.run(asyncio.wait_for(self.serving, 20))
        self.run(self.host.finished())
        self.runner.close()
        self.host.close()


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


def harmless(told: str) -> bool:
    """Whether it names no file, no line and no class of the server's inside."""
    return not any(
        mark in told for mark in ("Traceback", ".py", "/work", "/usr", "/root", "site-packages", " at 0x", "\\n  ")
    )


def check_http(status: int, headers: dict[str, str], told: bytes) -> None:
    assert status in {200, 400, 404, 413, 415, 503, 504}, told
    if status != 200:
        assert headers["content-type"] == "application/json"
        said = json.loads(told)
        assert list(said) == ["error"]
        assert harmless(said["error"])
        return
    length = int(headers.get(HEADER, len(told)))
    assert json.loads(told[:length])["model_name"] == "toy"


def check_right(told: Any, name: str) -> None:
    assert told["id"] == name
    logits = next(one["data"] for one in told["outputs"] if one["name"] == "logits")
    item = told["parameters"].get("item")
    right = expected() if item is None else expected()[item]
    np.testing.assert_allclose(np.array(logits), right.ravel(), rtol=1e-4, atol=1e-5)


def http(world: World, asked: tuple[bytes, int | None], header: str | None) -> None:
    body, length = asked
    headers = {} if length is None else {HEADER: str(length)}
    if header is not None:
        headers[HEADER] = header
    for path in (INFER, "/v2/models/toy/infer_stream") if header is None and len(body) % 4 == 0 else (INFER,):
        status, told, reply = world.run(world.host.ask(path, body, **headers))
        if path == INFER or status != 200:
            check_http(status, told, reply)
        else:
            assert told["content-type"].startswith("text/event-stream")
            assert all(b'"error"' not in part or b'"status": 500' not in part for part in reply.split(b"\n\n"))
    world.right()


async def heard(world: World, asked: str | bytes) -> None:
    """A message and a right one behind it: all that is heard belongs to one of them."""
    world.asked += 1
    name = f"after {world.asked}"
    world.channel.say(asked)
    world.channel.say(message(X, False, request_id=name, parameters={"operating_point": "full"}))
    right: list[Any] = []
    others: list[Any] = []
    while len(right) < 2:
        told = await world.channel.hear()
        (right if told.get("id") == name else others).append(told)
    await world.host.finished()
    while not world.channel.from_server.empty():
        others.append(await world.channel.hear())
    for told in right:
        check_right(told, name)
    assert others  # nothing is passed over in silence
    assert len({json.dumps(told.get("id")) for told in others}) == 1
    assert not str(others[0].get("id")).startswith("after")
    for told in others:
        if "error" in told:
            assert told["status"] in {400, 404, 413, 503, 504}, told
            assert harmless(told["error"])
        else:
            assert told["model_name"] == "toy"


QUICK = settings(max_examples=FEW, deadline=None, suppress_health_check=list(HealthCheck))
THOROUGH = settings(QUICK, max_examples=MANY)
NO_HEADER = st.one_of(st.none(), st.none(), st.none(), HEADERS)


@QUICK
@given(asked=requests(), header=NO_HEADER)
def test_a_request_that_is_wrong_somewhere(world: World, asked: tuple[bytes, int | None], header: str | None) -> None:
    http(world, asked, header)


@QUICK
@given(asked=messages())
def test_a_message_that_is_wrong_somewhere(world: World, asked: str | bytes) -> None:
    world.run(heard(world, asked))


@pytest.mark.slow
@THOROUGH
@given(asked=requests(), header=NO_HEADER)
def test_ten_thousand_requests(world: World, asked: tuple[bytes, int | None], header: str | None) -> None:
    http(world, asked, header)


@pytest.mark.slow
@THOROUGH
@given(asked=messages())
def test_ten_thousand_messages(world: World, asked: str | bytes) -> None:
    world.run(heard(world, asked))


@settings(QUICK, max_examples=60)
@given(asked=requests(), how=st.sampled_from(["POST", "PUT", "GET"]))
def test_requests_to_a_real_process(server: Running, asked: tuple[bytes, int | None], how: str) -> None:
    body, length = asked
    headers = {} if length is None else {HEADER: str(length)}
    status, told = server.ask(INFER, body, how, **headers)
    assert status in {200, 400, 404, 405, 413, 415}
    assert status == 200 or (list(told) == ["error"] and harmless(told["error"]))
    sent, length = raw(X, False, request_id="right", parameters={"operating_point": "full"})
    status, told = server.ask(INFER, sent, **{HEADER: str(length)})
    assert status == 200
    check_right(told, "right")


@settings(QUICK, max_examples=60)
@given(asked=st.lists(messages(), min_size=1, max_size=5))
def test_messages_to_a_real_process(server: Running, asked: list[str | bytes]) -> None:
    async def right(channel: ClientConnection) -> int:
        await channel.send(message(X, False, request_id="right", parameters={"operating_point": "full"}))
        found = 0
        while found < 2:
            said = await asyncio.wait_for(channel.recv(), 20)
            told = json.loads(said if isinstance(said, str) else said[4 : 4 + int.from_bytes(said[:4], "little")])
            if told.get("id") == "right":
                check_right(told, "right")
                found += 1
            assert told.get("status") != 500
        return found

    async def talk() -> int:
        async with server.socket as channel:
            for one in asked:
                await channel.send(one)
            return await right(channel)

    assert asyncio.run(talk()) == 2
