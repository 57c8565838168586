"""Big requests are worked on aside: the loop goes on meanwhile."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from offramp.serve.aside import SMALL, aside
from offramp.serve.deployment import InputSpec
from offramp.serve.protocol import MOST_JSON, InferReply, InferRequest
from tests.builds import images
from tests.serve.asgi import INFER, Hosted
from tests.serve.process import body, raw, running
from tests.serve.world import deployment

HEADER = "inference-header-content-length"


def big(megabytes: int) -> np.ndarray:
    """Ever so many bytes, of which the last are no number: the request is read, checked and refused, but not run."""
    x = np.zeros((4, 3, megabytes * 2**20 // 48, 1), np.float32)
    x[-1, -1, -1] = np.nan
    return x


def hosted() -> Hosted:
    made = deployment()
    return Hosted(replace(made, inputs=(InputSpec("input0", np.dtype("float32"), (3, -1, -1)),)))


def test_the_loop_turns_while_sixty_megabytes_are_worked_on_and_small_requests_are_answered() -> None:
    x, small = big(60), body(images(1, 5).numpy())
    made, length = raw(x)

    async def talk(host: Hosted) -> tuple[int, bool]:
        first = asyncio.create_task(host.ask(INFER, made, **{HEADER: str(length)}))
        second = asyncio.create_task(host.ask(INFER, small))
        turns, overtook = 0, False
        while not first.done():
            await asyncio.sleep(0)
            turns += 1
            overtook = overtook or (second.done() and not first.done())
        status, _, told = await first
        assert (status, b"finite" in told) == (400, True)
        assert (await second)[0] == 200
        return turns, overtook

    host = hosted()
    try:
        asyncio.run(host.ask(INFER, small))
        found = [asyncio.run(talk(host)) for _ in range(5)]
    finally:
        host.close()
    assert max(turns for turns, _ in found) >= 100  # on the loop itself there are a few
    assert any(overtook for _, overtook in found)  # and the second never is the first


def test_what_is_small_is_done_at_once() -> None:
    async def turns_of(size: int) -> int:
        done = asyncio.create_task(aside(size, sum, [1, 2]))
        turns = 0
        while not done.done():
            await asyncio.sleep(0)
            turns += 1
        assert done.result() == 3
        return turns

    assert asyncio.run(turns_of(SMALL)) == 1
    assert asyncio.run(turns_of(SMALL + 1)) > 1


def test_small_requests_are_answered_by_a_process_that_gets_big_ones(folder: Path) -> None:
    x = np.zeros((9000, 3, 12, 12), np.float32)
    x[-1, -1, -1, -1] = np.nan
    made, length = raw(np.concatenate([x] * 4))
    assert len(made) > 60 * 10**6
    with running(folder, "--max-queue", "100000") as server, ThreadPoolExecutor(1) as pool:
        headers = {HEADER: str(length)}
        asked = [pool.submit(server.ask, INFER, made, **headers) for _ in range(3)]
        small = body(images(1, 5).numpy())
        answered = 0
        while not all(one.done() for one in asked):
            answered += server.ask(INFER, small)[0] == 200
        assert [one.result()[0] for one in asked] == [400, 400, 400]
    assert answered >= 10


def test_json_has_a_limit_of_its_own_that_says_what_to_do() -> None:
    entry = {"name": "input0", "shape": [1], "datatype": "FP32", "data": [1.0] * (MOST_JSON // 5 + 1)}
    text = json.dumps({"id": "much", "inputs": [entry]})
    assert len(text) > MOST_JSON

    async def talk(host: Hosted) -> None:
        status, _, told = await host.ask(INFER, text.encode())
        assert status == 413
        assert b"raw bytes" in told
        assert (await host.ask(INFER, text.encode() + b"raw", **{HEADER: str(len(text))}))[0] == 413
        async with host.socket() as channel:
            channel.say(text)
            said = await channel.hear()
            assert said["status"] == 413
            assert "raw bytes" in said["error"]

    host = Hosted()
    try:
        asyncio.run(talk(host))
    finally:
        host.close()


def test_more_samples_than_the_queue_takes_are_refused_before_they_are_looked_at() -> None:
    x = np.full((20_000, 3, 12, 12), np.nan, np.float32)
    made, length = raw(x)
    host = Hosted()
    try:
        status, _, told = asyncio.run(host.ask(INFER, made, **{HEADER: str(length)}))
    finally:
        host.close()
    assert (status, b"at most 1024 samples" in told) == (413, True)


def test_the_loop_turns_while_a_large_reply_is_written() -> None:
    logits = np.random.default_rng(0).normal(size=(500, 1000)).astype(np.float32)
    asked = InferRequest(None, {"x": np.zeros((500, 1))}, None, False, {})
    reply = InferReply("m", "1", {"logits": logits}, "a", {"forced": 0})

    async def talk() -> tuple[float, float, bytes]:
        now = time.perf_counter
        began = last = now()
        stall = 0.0
        written = asyncio.create_task(aside(logits.nbytes, reply.encoded, asked))
        while not written.done():
            await asyncio.sleep(0)
            stall, last = max(stall, now() - last), now()
        return stall, now() - began, (await written)[0]

    stall, whole, text = asyncio.run(talk())
    told = json.loads(text)
    np.testing.assert_array_equal(np.array(told["outputs"][0]["data"], np.float32), logits.ravel())
    assert (told["id"], told["parameters"], told["outputs"][0]["shape"]) == ("a", {"forced": 0}, [500, 1000])
    assert stall < whole / 3  # written in one go the loop stands still for most of it
