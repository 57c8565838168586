"""A real process, asked by the clients that people use."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.builds import bundle, images

SAMPLES = 24

NETS = """
from offramp.testing.models import CNN


def net():
    return CNN.model()
"""


@dataclass(frozen=True)
class Running:
    """A server."""

    process: "subprocess.Popen[str]"
    port: int

    @property
    def client(self) -> Any:
        return triton.InferenceServerClient(f"127.0.0.1:{self.port}", concurrency=8, network_timeout=30.0)

    def ask(self, path: str, body: bytes | None = None, how: str = "POST", **headers: str) -> tuple[int, Any]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, headers, method=how)
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return reply.status, json.loads(reply.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    @property
    def socket(self) -> Any:
        return connect(f"ws://127.0.0.1:{self.port}/v2/models/toy/ws", max_size=None)


@contextmanager
def running(folder: Path, *options: str) -> Iterator[Running]:
    command = [sys.executable, "-m", "offramp", "serve", str(folder / "toy"), f"{folder / 'nets.py'}:net"]
    command += ["--backend", "eager", "--port", "0", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield Running(process, int(line.rsplit(":", 1)[1]))
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("served")
    bundle().save(made / "toy")
    (made / "nets.py").write_text(NETS)
    return made


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Running]:
    with running(folder, "--admin-token", "secret", "--max-body-mb", "1", "--audit-share", "0.5") as found:
        yield found


def tensor(x: np.ndarray, binary: bool = True) -> Any:
    made = triton.InferInput("input0", list(x.shape), triton.np_to_triton_dtype(x.dtype))
    made.set_data_from_numpy(x, binary_data=binary)
    return made


def body(x: np.ndarray, **rest: Any) -> bytes:
    entry = {"name": "input0", "shape": list(x.shape), "datatype": "FP32", "data": x.ravel().tolist()}
    return json.dumps({"inputs": [entry], **rest}).encode()


def test_health_metadata_and_index(server: Running) -> None:
    client = server.client
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("toy")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    told = client.get_model_metadata("toy")
    assert told["inputs"] == [{"name": "input0", "datatype": "FP32", "shape": [-1, 3, 12, 12]}]
    assert [one["name"] for one in told["outputs"]] == ["logits", "label", "exit_index", "confidence"]
    assert client.get_model_config("toy")["max_batch_size"] == 32
    assert client.get_model_repository_index() == [{"name": "toy", "version": "1", "state": "READY", "reason": ""}]
    assert client.get_inference_statistics("toy")["model_stats"][0]["name"] == "toy"


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("point", ["balanced", "fastest", "full"])
def test_inference_by_the_standard_client(server: Running, binary: bool, point: str) -> None:
    x = images(SAMPLES, 5)
    expected = bundle().use(point)(x)
    found = server.client.infer(
        "toy", [tensor(x.numpy(), binary)], request_id="a", parameters={"operating_point": point}, model_version="1"
    )
    assert found.get_response()["id"] == "a"
    assert found.get_response()["parameters"]["operating_point"] == bundle().point(point).name
    np.testing.assert_array_equal(found.as_numpy("exit_index"), expected.exit_index.numpy())
    np.testing.assert_allclose(found.as_numpy("logits"), expected.output.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found.as_numpy("label"), expected.output.argmax(1).numpy())
    np.testing.assert_allclose(found.as_numpy("confidence"), expected.score.numpy(), rtol=1e-4)


def test_outputs_that_are_asked_for_and_no_others(server: Running) -> None:
    x, wanted = images(2, 5).numpy(), [triton.InferRequestedOutput("label", binary_data=False)]
    found = server.client.infer("toy", [tensor(x)], outputs=wanted)
    assert [one["name"] for one in found.get_response()["outputs"]] == ["label"]
    plain = server.client.infer("toy", [tensor(x)], parameters={"return_exit_info": False})
    assert [one["name"] for one in plain.get_response()["outputs"]] == ["logits", "label"]


def test_errors_are_what_the_client_can_read(server: Running) -> None:
    x = images(2, 5).numpy()
    calls: list[tuple[Callable[[], Any], str]] = [
        (lambda: server.client.infer("other", [tensor(x)]), "expected the model toy"),
        (lambda: server.client.infer("toy", [tensor(x)], model_version="7"), "version"),
        (lambda: server.client.infer("toy", [tensor(x[:, :, 1:])]), "expected shape"),
        (lambda: server.client.infer("toy", [tensor(x * np.float32("nan"))]), "finite"),
        (lambda: server.client.infer("toy", [tensor(x)], parameters={"operating_point": "x"}), "operating point"),
        (lambda: server.client.infer("toy", [tensor(np.zeros((999, 3, 12, 12), np.float32))]), "bytes"),
        (lambda: server.client.infer("toy", [tensor(x)], request_compression_algorithm="gzip"), "compressed"),
    ]
    for call, message in calls:
        with pytest.raises(InferenceServerException, match=message):
            call()
    for status, path, how in ((404, "/nothing", "GET"), (405, "/v2/models/toy/infer", "GET")):
        code, told = server.ask(path, how=how)
        assert (code, list(told)) == (status, ["error"])
    assert server.ask("/v2/models/toy/infer", b"{")[0] == 400
    code, told = server.ask("/v2/models/toy/infer", b"{}", **{"Inference-Header-Content-Length": "99"})
    assert (code, list(told)) == (400, ["error"])


def test_switching_needs_the_token_and_is_told_in_every_reply(server: Running) -> None:
    path, wish = "/v2/models/toy/active", json.dumps({"operating_point": "fastest"}).encode()
    assert server.ask(path, wish, "PUT")[0] == 401
    assert server.ask(path, wish, "PUT", Authorization="Bearer wrong")[0] == 401
    before = server.ask("/v2/models/toy/points", how="GET")[1]
    code, told = server.ask(path, wish, "PUT", Authorization="Bearer secret")
    assert (code, told) == (200, {"active": bundle().point("fastest").name, "generation": before["generation"] + 1})
    found = server.client.infer("toy", [tensor(images(1, 5).numpy())]).get_response()["parameters"]
    assert (found["operating_point"], found["generation"]) == (told["active"], told["generation"])
    assert server.ask(path, b'{"operating_point": "x"}', "PUT", Authorization="Bearer secret")[0] == 404


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


def test_events_come_one_by_one(server: Running) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/v2/models/toy/infer_stream", body(images(4).numpy())
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        told = [json.loads(part.removeprefix(b"data: ")) for part in reply.read().split(b"\n\n") if part]
    assert sorted(one["parameters"]["item"] for one in told) == [0, 1, 2, 3]


def test_a_page_of_another_site_gets_no_socket(server: Running) -> None:
    async def talk() -> None:
        async with connect(f"ws://127.0.0.1:{server.port}/v2/models/toy/ws", origin="http://evil.example"):  # type: ignore[arg-type]
            pass

    with pytest.raises(InvalidStatus):
        asyncio.run(talk())


def test_metrics_and_page_are_there(server: Running) -> None:
    server.client.infer("toy", [tensor(images(SAMPLES, 5).numpy())])
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=30) as reply:
        text = reply.read().decode()
    assert 'offramp_requests_total{model="toy",status="200"}' in text
    assert 'offramp_request_seconds_bucket{le="8.0",model="toy"}' in text
    for name in (
        "offramp_exits_total",
        "offramp_queue_seconds_bucket",
        "offramp_batch_size_bucket",
        "offramp_active_point",
    ):
        assert name in text
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/", timeout=30) as reply:
        assert b"<h1" in reply.read()
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/live", timeout=30) as reply:
        told = json.loads(reply.readline().removeprefix(b"data: "))
    assert told["model"] == "toy"
    assert len(told["exits"]) == len(bundle().manifest.exits) + 1


def test_what_was_accepted_is_answered_when_the_server_goes_down(folder: Path) -> None:
    """A signal under load: each request is answered, refused with 503, or never got in."""
    with running(folder, "--max-batch-size", "4", "--max-queue-delay-ms", "300") as found:
        x = body(images(3, 5).numpy(), id="last")
        open_ = [socket.create_connection(("127.0.0.1", found.port)) for _ in range(3)]
        head = f"POST /v2/models/toy/infer HTTP/1.1\r\nHost: x\r\nContent-Length: {len(x)}\r\n\r\n".encode()
        for channel in open_:
            channel.sendall(head + x)
        time.sleep(0.15)
        found.process.send_signal(signal.SIGTERM)
        for channel in open_:
            channel.settimeout(20)
            reply = b""
            while part := channel.recv(65536):
                reply += part
                if b'"id":"last"' in reply.replace(b'"id": ', b'"id":') and reply.count(b"}") >= 6:
                    break
            assert reply.startswith(b"HTTP/1.1 200"), reply[:200]
            channel.close()
        assert found.process.wait(20) == 0


def test_ten_thousand_items_get_one_reply_each_and_early_ones_come_before_the_last_of_their_batch(
    server: Running,
) -> None:
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
    place = {(number, item): at for at, (number, item, _) in enumerate(found)}
    early, last = [], []
    for number, (_, rows) in enumerate(asked):
        exits = [expected[asked[number][0]][row] for row in rows]
        if len(rows) <= 32 and len(set(exits)) > 1:
            places = [place[number, item] for item in range(len(rows))]
            early.append(np.mean([at for at, exit_ in zip(places, exits, strict=True) if exit_ == min(exits)]))
            last.append(max(places))
    assert len(early) > 30
    assert np.mean(np.array(early) < np.array(last)) == 1.0
