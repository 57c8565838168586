"""Readiness follows the model: not after it failed on everything for a while, again after a success."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import numpy as np

from offramp.serve.errors import BadRequestError, ModelFailedError
from offramp.serve.health import FAILURES, Health
from offramp.serve.sample import Answer, Sample
from tests.builds import images
from tests.serve.asgi import INFER, Hosted
from tests.serve.process import body
from tests.serve.world import deployment

READY, LIVE, MODEL = "/v2/health/ready", "/v2/health/live", "/v2/models/toy/ready"


class Moody:
    """A model that fails on whatever is 7, or on everything."""

    def __init__(self) -> None:
        self.broken = False
        self.made = deployment()

    def __call__(self, stacked: Any) -> Any:
        if self.broken or (stacked["input0"] == 7.0).all(axis=(1, 2, 3)).any():
            raise RuntimeError("out of memory at /secret/path")
        return self.made.arranged(stacked)

    def hosted(self) -> Hosted:
        return Hosted(replace(self.made, arranged=self))


async def status(host: Hosted, path: str) -> int:
    return (await host.ask(path, b"", "GET"))[0]


async def ready_again(host: Hosted) -> None:
    async with asyncio.timeout(20):
        while await status(host, READY) != 200:
            await asyncio.sleep(0.001)


GOOD, BAD = body(images(3, 5).numpy()), body(np.full((3, 3, 12, 12), 7.0, np.float32))


def test_a_model_that_fails_on_everything_is_not_ready_until_it_works_again() -> None:
    moody = Moody()
    host = moody.hosted()

    async def talk() -> None:
        assert (await host.ask(INFER, GOOD))[0] == 200
        await host.finished()
        moody.broken = True
        for number in range(FAILURES):
            assert await status(host, READY) == 200, number
            code, _, told = await host.ask(INFER, GOOD)
            assert (code, json.loads(told)) == (500, {"error": "the model failed on it"})
            await host.finished()
        for _ in range(3):
            assert [await status(host, path) for path in (READY, MODEL, LIVE)] == [503, 503, 200]
            await host.finished()
        assert json.loads((await host.ask("/v2/repository/index"))[2])[0]["state"] == "UNAVAILABLE"
        moody.broken = False
        await ready_again(host)  # by a trial of its own
        assert (await host.ask(INFER, GOOD))[0] == 200
        assert await status(host, MODEL) == 200

    try:
        asyncio.run(talk())
    finally:
        host.close()


def test_a_success_of_anybody_makes_it_ready_where_nothing_was_answered_before() -> None:
    moody = Moody()
    host = moody.hosted()

    async def talk() -> None:
        for _ in range(FAILURES):
            await host.ask(INFER, BAD)
            await host.finished()
        for _ in range(3):
            assert await status(host, READY) == 503
        assert (await host.ask(INFER, GOOD))[0] == 200
        await host.finished()
        assert await status(host, READY) == 200

    try:
        asyncio.run(talk())
    finally:
        host.close()


def test_one_who_sends_only_what_the_model_fails_on_does_not_take_it_from_the_others_for_long() -> None:
    host = Moody().hosted()

    async def talk() -> None:
        assert (await host.ask(INFER, GOOD))[0] == 200
        for _ in range(2 * FAILURES):
            await host.ask(INFER, BAD)
            await host.finished()
        assert await status(host, READY) == 503
        await ready_again(host)

    try:
        asyncio.run(talk())
    finally:
        host.close()


def test_failures_among_successes_are_none_and_what_nobody_waits_for_says_nothing() -> None:
    def sample(answer: Any) -> Sample:
        made = Sample({"x": np.zeros(2)}, np.array([np.inf]), 1, lambda _: None)
        made.answer = answer
        return made

    health = Health(2)
    good, bad = Answer(np.zeros(1), 0, 0.5), ModelFailedError("it failed")
    for batch in ([bad], [bad, good], [bad], [], [None], [BadRequestError("no")]):
        health.saw([sample(one) for one in batch])
        assert health.good
    health.saw([sample(bad)])
    assert not health.good
    health.saw([sample(None)])
    assert not health.good
    health.saw([sample(good)])
    assert health.good
