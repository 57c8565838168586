"""WebSockets of a real process, asked by a client that people use."""

import asyncio
import json
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.builds import bundle, images
from tests.serve.process import SAMPLES, Running, body, tensor


def test_a_socket_answers_each_item_once_matched_by_id(server: Running) -> None:
    x = images(SAMPLES, 5)
    points = ["balanced", "fastest", "full"]
    expected = {point: bundle().use(point)(x).exit_index.tolist() for point in points}

    async def talk() -> dict[tuple[str, int], int]:
        found: dict[tuple[str, int], int] = {}
        async with server.socket as channel:
            for point in points:
                await channel.send(body(x.numpy(), id=point, parameters={"operating_point": point}).decode())
            while len(found) < SAMPLES * len(points):
                told = json.loads(await asyncio.wait_for(channel.recv(), 20))
                place = told["id"], told["parameters"]["item"]
                assert place not in found
                assert told["parameters"]["final"]
                found[place] = next(one["data"][0] for one in told["outputs"] if one["name"] == "exit_index")
        return found

    found = asyncio.run(talk())
    for point in points:
        assert [found[point, item] for item in range(SAMPLES)] == expected[point]


def test_a_socket_takes_raw_tensors_and_says_what_is_wrong_with_a_message(server: Running) -> None:
    x = images(3, 5).numpy()
    raw, length = triton.InferenceServerClient.generate_request_body([tensor(x)], request_id="raw")
    assert length is not None

    async def talk() -> list[Any]:
        found: list[Any] = []
        async with server.socket as channel:
            await channel.send(length.to_bytes(4, "little") + raw)
            for message in ("{", '{"id": "b", "inputs": []}', b"\1"):
                await channel.send(message)
            while len(found) < 6:
                found.append(await asyncio.wait_for(channel.recv(), 20))
        return found

    found = asyncio.run(talk())
    errors = [json.loads(one) for one in found if isinstance(one, str)]
    assert [one["status"] for one in errors] == [400, 400, 400]
    assert [one.get("id") for one in errors] == [None, "b", None]
    for one in (one for one in found if isinstance(one, bytes)):
        json_length = int.from_bytes(one[:4], "little")
        reply = triton.InferenceServerClient.parse_response_body(one[4:], header_length=json_length)
        assert reply.as_numpy("logits").shape == (1, bundle().manifest.model.classes)


def test_a_page_of_another_site_gets_no_socket(server: Running) -> None:
    async def talk() -> None:
        async with connect(f"ws://127.0.0.1:{server.port}/v2/models/toy/ws", origin="http://evil.example"):  # type: ignore[arg-type]
            pass

    with pytest.raises(InvalidStatus):
        asyncio.run(talk())


def test_ten_thousand_items_of_requests_under_way_together_get_one_reply_each(server: Running) -> None:
    x = images(500, 9)
    points = ["balanced", "fastest", "full"]
    expected = {point: bundle().use(point)(x).exit_index.tolist() for point in points}
    rng = np.random.default_rng(0)
    asked: list[tuple[str, np.ndarray]] = []
    while sum(len(rows) for _, rows in asked) < 10_000:
        left = 10_000 - sum(len(rows) for _, rows in asked)
        asked.append((points[len(asked) % 3], rng.integers(0, 500, min(int(rng.integers(1, 64)), left))))

    async def talk() -> list[tuple[int, int, int]]:
        found: list[tuple[int, int, int]] = []
        async with server.socket as channel:

            async def send() -> None:
                sent = 0
                for number, (point, rows) in enumerate(asked):
                    parameters = {"operating_point": point}
                    while sent - len(found) > 500:  # the queue takes 1,024
                        await asyncio.sleep(0.001)
                    sent += len(rows)
                    raw, length = triton.InferenceServerClient.generate_request_body(
                        [tensor(x.numpy()[rows])],
                        request_id=str(number),
                        parameters=parameters,
                        outputs=[triton.InferRequestedOutput("exit_index", binary_data=False)],
                    )
                    await channel.send((length or 0).to_bytes(4, "little") + raw)

            sending = asyncio.create_task(send())
            while len(found) < 10_000:
                told = json.loads(await asyncio.wait_for(channel.recv(), 30))
                found.append((int(told["id"]), told["parameters"]["item"], told["outputs"][0]["data"][0]))
            await sending
        return found

    found = asyncio.run(talk())
    assert len({(number, item) for number, item, _ in found}) == 10_000
    for number, item, exit_index in found:
        point, rows = asked[number]
        assert exit_index == expected[point][rows[item]]


def test_items_that_leave_early_are_answered_before_the_last_of_their_batch(server: Running) -> None:
    """One request at a time, so that a request is a batch: with others before it, it may be parted between two."""
    x = images(500, 9)
    expected = bundle().use("balanced")(x).exit_index
    rng = np.random.default_rng(0)
    asked = [rng.integers(0, 500, int(rng.integers(2, 33))) for _ in range(60)]

    async def talk() -> list[list[int]]:
        found: list[list[int]] = []
        async with server.socket as channel:
            for rows in asked:
                await channel.send(body(x.numpy()[rows], parameters={"operating_point": "balanced"}).decode())
                told = [json.loads(await asyncio.wait_for(channel.recv(), 30)) for _ in rows]
                found.append([one["parameters"]["item"] for one in told])
        return found

    several = 0
    for rows, items in zip(asked, asyncio.run(talk()), strict=True):
        assert sorted(items) == list(range(len(rows)))
        exits = expected[rows[items]].tolist()
        assert exits == sorted(exits)
        several += len(set(exits)) > 1
    assert several > 30
