"""A real process, asked by the clients that people use."""

import json
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from tests.builds import bundle, images
from tests.serve.process import SAMPLES, Running, body, running, tensor


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
    before = client.get_inference_statistics("toy")["model_stats"][0]
    client.infer("toy", [tensor(images(3, 5).numpy())])
    for _ in range(1000):  # they are counted behind the answer
        after = client.get_inference_statistics("toy", "1")["model_stats"][0]
        if after["inference_count"] > before["inference_count"]:
            break
        time.sleep(0.01)
    assert (after["name"], after["version"]) == ("toy", "1")
    assert after["inference_count"] == before["inference_count"] + 3
    for path in ("/v2/", "/v2/models/toy/", "/v2/models"):
        code, said = server.ask(path, how="GET")
        assert (code, list(said)) == (404, ["error"])


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


def test_parameters_survive_batches(server: Running) -> None:
    """Many requests at once, in common batches, each with wishes of its own: each gets its own."""
    x, drawn = images(SAMPLES, 5), np.random.default_rng(0)
    free = {point: bundle().use(point)(x).exit_index.numpy() for point in ("balanced", "fastest", "full")}
    backbone = len(bundle().manifest.exits)
    asked, client = [], server.client
    for number in range(90):
        point = ("balanced", "fastest", "full")[number % 3]
        on = [exit_ for exit_, enabled in enumerate(bundle().point(point).configuration.enabled) if enabled]
        last = int(drawn.choice([*on, backbone]))
        rows = drawn.integers(0, SAMPLES, int(drawn.integers(1, 6)))
        wishes = {"operating_point": point, "max_exit": last}
        under_way = client.async_infer("toy", [tensor(x.numpy()[rows])], request_id=str(number), parameters=wishes)
        asked.append((number, point, last, rows, under_way))
    for number, point, last, rows, under_way in asked:
        found = under_way.get_result()
        told = found.get_response()
        assert (told["id"], told["parameters"]["operating_point"]) == (str(number), bundle().point(point).name)
        expected = np.minimum(free[point][rows], last)
        np.testing.assert_array_equal(found.as_numpy("exit_index"), expected)
        assert told["parameters"]["forced"] == int((free[point][rows] > last).sum())


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


def test_events_come_one_by_one(server: Running) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/v2/models/toy/infer_stream", body(images(4).numpy())
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        told = [json.loads(part.removeprefix(b"data: ")) for part in reply.read().split(b"\n\n") if part]
    assert sorted(one["parameters"]["item"] for one in told) == [0, 1, 2, 3]


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
