"""Texts over the wire: what clients send, what the model is given, and what is refused."""

import asyncio
import json
import logging
import shutil
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from offramp.exporting import export
from offramp.run.routing import FILE, Routing
from offramp.serve import texts as served_texts
from offramp.serve.batcher import Batching
from offramp.serve.care import Care, cared
from offramp.serve.deployment import Deployment
from offramp.serve.errors import ConflictError
from offramp.serve.hosting import Versions
from offramp.serve.loading import from_bundle, from_stages
from tests.films import HARD, LENGTH, POSITIONS, WORDS, film, home, preprocess, texts
from tests.serve.asgi import INFER, Hosted
from tests.serve.process import Running, serving
from tests.serve.world import deployment

NETS = """
from benchmarks import torchvision_shim

torchvision_shim.install()  # transformers imports torchvision where there is one

from offramp.load import load_model


def film():
    loaded = load_model("transformers:{home}")
    loaded.model.preprocess = loaded.preprocess
    return loaded.model
"""

STREAM = "/v2/models/toy/infer_stream"


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts") / "toy"
    export(film(), folder, [point.name for point in film().points])
    return folder


def made(backend: str, stages: Path, folder: Path) -> Deployment:
    if backend == "stages":
        return from_stages(stages, threads=1)
    return from_bundle(film(), backend, folder, "toy", tokeniser=preprocess().portable())


@pytest.fixture(scope="module", params=["eager", "stages"])
def host(request: pytest.FixtureRequest, stages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    found = Hosted(made(request.param, stages, tmp_path_factory.mktemp("host")), batching=Batching(64, 0.0, 64))
    yield found
    found.close()


def entry(some: list[Any], shape: list[int] | None = None, **rest: Any) -> dict[str, Any]:
    return {"name": "text", "datatype": "BYTES", "shape": shape or [len(some)], "data": some, **rest}


def asked(host: Hosted, *entries: dict[str, Any], path: str = INFER, **rest: Any) -> tuple[int, Any]:
    body = json.dumps({"inputs": entries, **rest}).encode()
    status, _, reply = asyncio.run(host.ask(path, body))
    return status, json.loads(reply) if path == INFER else reply.decode()


def outputs(reply: Any) -> dict[str, Any]:
    return {one["name"]: one["data"] for one in reply["outputs"]}


def expected(some: list[str], point: str = "careful") -> Any:
    return film().use(point)(preprocess().batch(some))


@pytest.mark.parametrize("point", ["careful", "balanced", "full"])
def test_texts_are_answered_as_by_the_model(host: Hosted, point: str) -> None:
    some = [*texts(24, 9), *HARD]
    status, reply = asked(host, entry(some), parameters={"operating_point": point})
    assert status == 200
    found, told = outputs(reply), expected(some, point)
    assert found["exit_index"] == told.exit_index.tolist()
    assert found["label"] == told.output.argmax(1).tolist()
    np.testing.assert_allclose(np.reshape(found["logits"], (-1, 3)), told.output.numpy(), rtol=1e-3, atol=1e-4)
    assert reply["parameters"]["truncated"] == 1
    if point == "careful":
        assert len(set(found["exit_index"])) > 1


def test_ids_are_still_taken(host: Hosted) -> None:
    some = texts(6, 9)
    tokens = preprocess().batch(some)
    ids = [
        {"name": name, "datatype": "INT64", "shape": list(one.shape), "data": one.ravel().tolist()}
        for name, one in tokens.items()
    ]
    status, reply = asked(host, *ids)
    assert status == 200
    assert "truncated" not in reply["parameters"]
    _, by_texts = asked(host, entry(some))
    assert outputs(reply)["exit_index"] == outputs(by_texts)["exit_index"]
    np.testing.assert_array_equal(outputs(reply)["logits"], outputs(by_texts)["logits"])


def test_an_axis_for_batches_may_be_there(host: Hosted) -> None:
    some = texts(3, 4)
    for data in (some, [[one] for one in some]):
        status, reply = asked(host, entry(data, [3, 1]))
        assert status == 200
        assert outputs(reply)["label"] == outputs(asked(host, entry(some))[1])["label"]


def test_each_answer_of_a_stream_says_whether_its_text_was_cut(host: Hosted) -> None:
    some = ["a good film", HARD[-1], "dull"]
    status, reply = asked(host, entry(some), path=STREAM)
    assert status == 200
    events = [json.loads(one.removeprefix("data: ")) for one in reply.split("\n\n") if one]
    assert {one["parameters"]["item"]: one["parameters"]["truncated"] for one in events} == {
        0: False,
        1: True,
        2: False,
    }


def test_a_socket_takes_texts(host: Hosted) -> None:
    async def talk() -> list[Any]:
        async with host.socket() as channel:
            channel.say(json.dumps({"id": "a", "inputs": [entry(["a good film", HARD[-1]])]}))
            channel.say(json.dumps({"id": "b", "inputs": [entry([])]}))
            return [await channel.hear() for _ in range(3)]

    found = asyncio.run(talk())
    errors = [one for one in found if "error" in one]
    assert [(one["id"], one["status"]) for one in errors] == [("b", 400)]
    answers = {one["parameters"]["item"]: one for one in found if "error" not in one}
    told = expected(["a good film", HARD[-1]], film().point("balanced").name)
    assert [answers[number]["parameters"]["truncated"] for number in range(2)] == [False, True]
    assert [outputs(answers[number])["exit_index"] for number in range(2)] == [
        [one] for one in told.exit_index.tolist()
    ]


def test_metadata_tells_of_the_texts(host: Hosted) -> None:
    def got(path: str) -> Any:
        return json.loads(asyncio.run(host.ask(path, b"", "GET"))[2])

    names = ["input_ids", "token_type_ids", "attention_mask", "text"]
    told = got("/v2/models/toy")["inputs"]
    assert [one["name"] for one in told] == names
    assert told[-1] == {"name": "text", "datatype": "BYTES", "shape": [-1]}
    configured = got("/v2/models/toy/config")["input"]
    assert [(one["name"], one["optional"]) for one in configured] == [(name, True) for name in names]
    assert configured[-1] == {"name": "text", "data_type": "TYPE_STRING", "dims": [1], "optional": True}


IDS = {"name": "input_ids", "datatype": "INT64", "shape": [1, 2], "data": [2, 3]}
NULL = {"name": "attention_mask", "datatype": "INT64", "shape": [1, 2], "data": [1, 1]}
TYPES = {"name": "token_type_ids", "datatype": "INT64", "shape": [1, 2], "data": [0, 0]}


@pytest.mark.parametrize(
    ("entries", "status", "message"),
    [
        ([entry([])], 400, r"the shape of input 'text'|at least one text"),
        ([entry([], [0])], 400, "at least one text for input 'text', got [0]"),
        ([entry(["a", "b"], [1, 2])], 400, "expected shape [-1]"),
        ([entry(["a"], [1, 1, 1])], 400, "expected shape [-1]"),
        ([entry(["a"], [2])], 400, "expected 2 texts for input 'text'"),
        ([entry([7])], 400, "expected strings in input 'text' (BYTES), got int"),
        ([entry([None])], 400, "got NoneType"),
        ([entry(["\ud800"])], 400, "half of a surrogate pair"),
        ([entry(["a"]), IDS], 400, "or texts in one input 'text' and nothing beside it, got 'text', 'input_ids'"),
        ([{**entry(["a"]), "name": "sentence"}], 400, "got 'sentence'"),
        ([entry(["a"] * 65)], 413, "at most 64 samples"),
        ([entry(["a" * (2**20 + 1)])], 413, "at most 1048576 bytes"),
        ([{**IDS, "data": [2, len(WORDS)]}, NULL, TYPES], 400, f"from 0 to {len(WORDS) - 1} in input 'input_ids', got"),
        ([{**IDS, "data": [-1, 2]}, NULL, TYPES], 400, "got -1 in sample 0"),
        ([IDS, NULL, {**TYPES, "data": [0, 2]}], 400, "from 0 to 1 in input 'token_type_ids', got 2"),
        (
            [{**one, "shape": [1, POSITIONS + 1], "data": [1] * (POSITIONS + 1)} for one in (IDS, NULL, TYPES)],
            400,
            f"at most {POSITIONS} in a row of input 'input_ids', got {POSITIONS + 1}",
        ),
        ([IDS, NULL], 400, "expected the inputs"),
    ],
)
def test_what_is_wrong_is_said(host: Hosted, entries: list[Any], status: int, message: str) -> None:
    found, told = asked(host, *entries)
    assert found == status
    assert any(part in told["error"] for part in message.split("|")), told
    assert asked(host, entry(["good"]))[0] == 200


def test_texts_that_are_together_too_long_are_refused(host: Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served_texts, "MOST_TEXTS", 1000)
    assert asked(host, entry(["a" * 400] * 2))[0] == 200
    status, told = asked(host, entry(["a" * 400] * 3))
    assert (status, "1000 in a request" in told["error"]) == (413, True)


def test_bytes_that_are_no_utf8_are_refused(host: Hosted) -> None:
    def sent(raw: bytes, count: int = 1) -> tuple[int, Any]:
        head = {"name": "text", "datatype": "BYTES", "shape": [count], "parameters": {"binary_data_size": len(raw)}}
        told = json.dumps({"inputs": [head]}).encode()
        length = {"inference-header-content-length": str(len(told))}
        status, _, reply = asyncio.run(host.ask(INFER, told + raw, **length))
        return status, json.loads(reply)

    right = (4).to_bytes(4, "little") + b"good"
    assert sent(right)[0] == 200
    for raw, count, message in [
        ((2).to_bytes(4, "little") + b"\xff\xfe", 1, "UTF-8 in text 0"),
        (right + (1).to_bytes(4, "little") + b"\xc3", 2, "UTF-8 in text 1"),
        (right[:-1], 1, "expected 1 texts"),
        (right + b"\0", 1, "got 1 and 1 bytes"),
        (right, 2, "expected 2 texts"),
        (b"\xff\xff\xff\xff", 1, "got 0 and 4 bytes"),
        (b"", 1, "expected 1 texts"),
    ]:
        status, told = sent(raw, count)
        assert (status, message in told["error"]) == (400, True), told


def test_a_model_without_a_tokenizer_says_what_it_takes(stages: Path) -> None:
    for one, ids in ((replace(from_stages(stages, threads=1), tokeniser=None), "input_ids"), (deployment(), "input0")):
        found = Hosted(one)
        try:
            status, told = asked(found, entry(["good"]))
            assert status == 400
            assert f"expected numbers for {ids}" in told["error"]
            assert "served without a tokenizer" in told["error"]
            metadata = json.loads(asyncio.run(found.ask("/v2/models/toy", b"", "GET"))[2])
            assert "text" not in [spec["name"] for spec in metadata["inputs"]]
        finally:
            found.close()


def test_long_texts_are_made_tokens_in_a_thread(host: Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short ones are not: a thread takes longer than they do."""
    seen: list[str] = []
    tokens = type(host.endpoint.deployment.tokeniser).__call__

    def noted(self: Any, some: Any) -> Any:
        seen.append(threading.current_thread().name)
        return tokens(self, some)

    monkeypatch.setattr(type(host.endpoint.deployment.tokeniser), "__call__", noted)
    for text in ("good", "good " * 2000):
        assert asked(host, entry([text]))[0] == 200
    assert seen[0] == "MainThread"
    assert seen[1] != "MainThread"


def test_a_folder_says_how_long_its_texts_are(stages: Path) -> None:
    routing = Routing.read(stages)
    assert routing.max_length == LENGTH
    assert {one["name"]: (one.get("below"), one.get("most")) for one in routing.inputs} == {
        "input_ids": (len(WORDS), POSITIONS),
        "token_type_ids": (2, POSITIONS),
        "attention_mask": (None, POSITIONS),
    }


def test_a_folder_of_an_earlier_version_is_served(stages: Path, tmp_path: Path) -> None:
    old = shutil.copytree(stages, tmp_path / "toy")
    told = json.loads((old / FILE).read_text())
    del told["max_length"]
    told["inputs"] = [{name: one[name] for name in ("name", "shape", "dtype")} for one in told["inputs"]]
    (old / FILE).write_text(json.dumps(told))
    found = from_stages(old, threads=1)
    assert found.tokeniser is None
    assert found.inputs == from_stages(stages, threads=1).inputs, "a newer export may replace it"


def test_without_the_package_ids_are_served(
    stages: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with caplog.at_level(logging.WARNING, "offramp.serve"):
        found = from_stages(stages, threads=1)
    assert found.tokeniser is None
    assert "pip install 'offramp[text]'" in caplog.text


def test_a_version_with_another_tokenizer_is_refused(stages: Path) -> None:
    """Tokens of a request may be made by one version and answered by the next."""
    first = from_stages(stages, threads=1)
    assert first.tokeniser is not None
    coming = [replace(first, tokeniser=None), replace(first, tokeniser=replace(first.tokeniser, max_length=9)), first]
    with cared(Care(), Batching()) as begun:
        versions = Versions(begun, first, lambda: coming.pop(0))
        for _ in range(2):
            with pytest.raises(ConflictError, match="the tokeniser of the version before"):
                versions.load()
        assert versions.load().active.version == "2"
        versions.close(20.0)


@pytest.fixture(scope="module", params=["stages", pytest.param("bundle", marks=pytest.mark.slow)])
def server(request: pytest.FixtureRequest, stages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    if request.param == "stages":
        arguments = [str(stages)]
    else:
        folder = film().save(tmp_path_factory.mktemp("served") / "toy")
        (folder.parent / "nets.py").write_text(NETS.format(home=str(home())))
        arguments = [str(folder), f"{folder.parent / 'nets.py'}:film", "--backend", "eager"]
    with serving(*arguments, "--point", "careful", "--threads", "1") as found:
        yield found


def tensor(some: list[Any], binary: bool, shape: list[int] | None = None) -> Any:
    made = triton.InferInput("text", shape or [len(some)], "BYTES")
    made.set_data_from_numpy(np.array(some, object).reshape(shape or [len(some)]), binary_data=binary)
    return made


@pytest.mark.parametrize("binary", [True, False])
def test_texts_by_the_standard_client(server: Running, binary: bool) -> None:
    some = [*texts(12, 3), *HARD]
    told = expected(some)
    for shape in (None, [len(some), 1]):
        found = server.client.infer("toy", [tensor(some, binary, shape)])
        np.testing.assert_array_equal(found.as_numpy("exit_index"), told.exit_index.numpy())
        np.testing.assert_allclose(found.as_numpy("logits"), told.output.numpy(), rtol=1e-3, atol=1e-4)
        assert found.get_response()["parameters"]["truncated"] == 1
    assert {one["name"] for one in server.client.get_model_metadata("toy")["inputs"]} >= {"text", "input_ids"}


def test_errors_reach_the_standard_client(server: Running) -> None:
    for made, message in [
        (tensor([b"\xff"], True), "UTF-8 in text 0"),
        (tensor(["a"] * 2, True, [1, 2]), "expected shape"),
        (tensor(["a" * 2**21], True), "at most 1048576 bytes"),
    ]:
        with pytest.raises(InferenceServerException, match=message):
            server.client.infer("toy", [made])
    assert server.client.infer("toy", [tensor(["good"], True)]).as_numpy("label").shape == (1,)
