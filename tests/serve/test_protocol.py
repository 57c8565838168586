"""The wire, against Triton's own client: what it writes is read here, what is written here it reads."""

import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from hypothesis import given, settings
from hypothesis import strategies as st

from offramp.serve.errors import BadRequestError
from offramp.serve.protocol import InferReply, InferRequest, parse


def triton_body(x: np.ndarray, binary: bool, **rest: Any) -> tuple[bytes, int | None]:
    tensor = triton.InferInput("x", list(x.shape), triton.np_to_triton_dtype(x.dtype))
    tensor.set_data_from_numpy(x, binary_data=binary)
    body, length = triton.InferenceServerClient.generate_request_body([tensor], **rest)
    return bytes(body) if not isinstance(body, str) else body.encode(), length


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool"])
def test_what_the_client_writes_is_read(binary: bool, dtype: str) -> None:
    x = np.arange(12).reshape(2, 3, 2).astype(dtype)
    body, length = triton_body(x, binary, request_id="seven", parameters={"operating_point": "fast", "max_exit": 2})
    asked = parse(body, length)
    np.testing.assert_array_equal(asked.inputs["x"], x)
    assert (asked.id, asked.parameters) == ("seven", {"operating_point": "fast", "max_exit": 2})
    assert (asked.outputs, asked.binary, asked.samples) == (None, True, 2)


def test_outputs_asked_for_say_themselves_how_they_come() -> None:
    wanted = [triton.InferRequestedOutput("label", binary_data=False), triton.InferRequestedOutput("logits")]
    body, length = triton_body(np.zeros((1, 2), np.float32), True, outputs=wanted)
    assert parse(body, length).outputs == {"label": False, "logits": True}


@pytest.mark.parametrize("outputs", [None, {"label": False, "logits": True}, {"logits": False}])
@pytest.mark.parametrize("binary", [True, False])
def test_what_is_written_the_client_reads(binary: bool, outputs: dict[str, bool] | None) -> None:
    found = {"logits": np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32), "label": np.array([2, 0])}
    asked = InferRequest("nine", {"x": np.zeros(1)}, outputs, binary, {})
    encoded, length = InferReply("m", "1", found, asked.id, {"operating_point": "fast"}).encoded(asked)
    read = triton.InferenceServerClient.parse_response_body(encoded, header_length=length)
    for name, expected in found.items():
        if outputs is None or name in outputs:
            np.testing.assert_array_equal(read.as_numpy(name), expected)
        else:
            assert read.get_output(name) is None
    told = read.get_response()
    assert (told["id"], told["model_name"], told["parameters"]) == ("nine", "m", {"operating_point": "fast"})


ENTRY = {"name": "x", "shape": [1], "datatype": "FP32", "data": [1.0]}


@pytest.mark.parametrize(
    ("body", "length", "message"),
    [
        (b"", None, "JSON"),
        (b"[1", None, "JSON"),
        (b"[]", None, "an object"),
        (b"{}", None, "list of inputs"),
        (b'{"inputs": [1]}', None, "an object"),
        (b'{"inputs": [{"name": 1}]}', None, "name as a string"),
        (json.dumps({"inputs": [ENTRY, ENTRY]}).encode(), None, "twice"),
        (json.dumps({"inputs": [{**ENTRY, "shape": [-1]}]}).encode(), None, "list of at most 16 sizes"),
        (json.dumps({"inputs": [{**ENTRY, "shape": 3}]}).encode(), None, "list of at most 16 sizes"),
        (json.dumps({"inputs": [ENTRY], "id": 3}).encode(), None, "id as a string"),
        (json.dumps({"inputs": [ENTRY], "parameters": []}).encode(), None, "parameters as an object"),
        (json.dumps({"inputs": [ENTRY], "outputs": {}}).encode(), None, "outputs as a list"),
        (
            json.dumps({"inputs": [{**ENTRY, "parameters": {"binary_data_size": 9}}]}).encode(),
            None,
            "within the 0 bytes",
        ),
        (json.dumps({"inputs": [ENTRY]}).encode() + b"more", len(json.dumps({"inputs": [ENTRY]})), "4 more"),
        (b"{}", 3, "between 0 and the 2 bytes"),
        (b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [NaN]}]}', None, "no JSON number"),
        (b"[" * 100_000, None, "JSON"),
        (b"\xff\xfe", None, "JSON"),
    ],
)
def test_what_is_no_request_is_refused(body: bytes, length: int | None, message: str) -> None:
    with pytest.raises(BadRequestError, match=message):
        parse(body, length)


@settings(max_examples=500)
@given(data=st.data())
def test_whatever_comes_is_a_request_or_is_refused(data: st.DataObject) -> None:
    """Bytes of all kinds, and requests with one place changed."""
    if data.draw(st.booleans()):
        body, length = data.draw(st.binary(max_size=60)), data.draw(st.none() | st.integers(-5, 80))
    else:
        body, length = triton_body(np.ones((2, 2), np.float32), data.draw(st.booleans()))
        at = data.draw(st.integers(0, len(body) - 1))
        body = body[:at] + data.draw(st.binary(max_size=3)) + body[at + data.draw(st.integers(0, 3)) :]
    with suppress(BadRequestError):
        assert parse(body, length).inputs
