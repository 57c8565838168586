"""Requests and replies of the Open Inference Protocol, version 2, with Triton's binary tensors."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from offramp.serve.errors import BadRequestError, TooLargeError
from offramp.serve.tensors import BYTES, datatype_of, from_bytes, from_json, to_bytes

HEADER = "Inference-Header-Content-Length"
"""Says how many bytes of a body are JSON; the rest is raw tensors."""

EXTENSIONS = ("binary_tensor_data", "model_configuration", "model_repository", "statistics")
"""What the server speaks beyond the protocol."""


MOST_JSON = 8 * 2**20
"""Bytes of JSON in a request: the standard library reads them in one go, during which the server does nothing else."""

PIECE = 4096
"""Numbers that are written in one go."""

MOST_ID, MOST_AXES, MOST_NUMBERS = 256, 16, 2**31
"""Limits of a request: characters of its id, which every answer repeats; axes and numbers of a tensor."""


@dataclass(frozen=True, eq=False)
class InferRequest:
    """What a client asks.

    Attributes:
        id: the client's name for it, echoed.
        inputs: tensors by name, each with the batch as its first axis.
        outputs: the names asked for and whether each comes as raw bytes; None: all, as `binary` says.
        binary: whether outputs are raw bytes unless they say otherwise.
        parameters: the client's own.
        truncated: numbers of the samples whose texts were cut; None where the request has no texts.
    """

    id: str | None
    inputs: Mapping[str, np.ndarray]
    outputs: Mapping[str, bool] | None
    binary: bool
    parameters: Mapping[str, Any]
    truncated: frozenset[int] | None = None

    @property
    def samples(self) -> int:
        """The size of its batch, by its first input."""
        first = next(iter(self.inputs.values()))
        return len(first) if first.ndim else 0


@dataclass(frozen=True, eq=False)
class InferReply:
    """What it is told.

    Attributes:
        model: name of the model.
        version: of the model.
        outputs: tensors by name.
        id: the client's.
        parameters: what else there is to say.
    """

    model: str
    version: str
    outputs: Mapping[str, np.ndarray]
    id: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def encoded(self, request: InferRequest) -> tuple[bytes, int | None]:
        """The body, and how many of its bytes are JSON; None where all are."""
        raw: list[bytes] = []
        entries = []
        asked = dict.fromkeys(self.outputs, request.binary) if request.outputs is None else request.outputs
        for name, tensor in self.outputs.items():
            if name not in asked:
                continue
            text = tensor.dtype.kind in "OSU"
            entry: dict[str, Any] = {
                "name": name,
                "datatype": BYTES if text else datatype_of(tensor.dtype),
                "shape": list(tensor.shape),
            }
            if asked[name]:
                raw.append(to_bytes(tensor))
                entries.append(json.dumps({**entry, "parameters": {"binary_data_size": len(raw[-1])}}))
            else:
                entries.append(_with(entry, "data", _numbers(tensor)))
        told: dict[str, Any] = {"model_name": self.model, "model_version": self.version}
        if self.id is not None:
            told["id"] = self.id
        if self.parameters:
            told["parameters"] = dict(self.parameters)
        head = _with(told, "outputs", ", ".join(entries)).encode()
        return b"".join([head, *raw]), len(head) if raw else None


def _with(told: Mapping[str, Any], key: str, items: str) -> str:
    """An object as JSON, with a list as its last value that is written already."""
    return f'{json.dumps(told)[:-1]}, "{key}": [{items}]}}'


def _numbers(tensor: np.ndarray) -> str:
    """As JSON, piece by piece: the standard library keeps the interpreter to itself while it writes one."""
    flat = tensor.ravel()
    pieces = (flat[at : at + PIECE] for at in range(0, len(flat), PIECE))
    return ", ".join(json.dumps(piece.tolist())[1:-1] for piece in pieces)


def parse(body: bytes | bytearray | memoryview, json_length: int | None) -> InferRequest:
    """The request in a body.

    Args:
        body: all of it.
        json_length: how many of its bytes are JSON, where the client says so; None: all.

    Raises:
        BadRequestError: saying what is wrong with it.
        TooLargeError: if its JSON is.
    """
    view = memoryview(body)
    length = len(view) if json_length is None else json_length
    if not 0 <= length <= len(view):
        raise BadRequestError(f"expected {HEADER} between 0 and the {len(view)} bytes of the body, got {length}")
    if length > MOST_JSON:
        raise TooLargeError(
            f"expected at most {MOST_JSON} bytes of JSON, got {length}; send tensors as raw bytes (binary_data_size)"
        )
    told = _object(_json(view[:length]), "a request")
    parameters = _object(told.get("parameters"), "parameters")
    inputs = _inputs(told.get("inputs"), view[length:])
    identity = told.get("id")
    if identity is not None and (not isinstance(identity, str) or len(identity) > MOST_ID):
        raise BadRequestError(f"expected id as a string of at most {MOST_ID} characters")
    binary = _flag(parameters.get("binary_data_output", False), "binary_data_output")
    own = {name: value for name, value in parameters.items() if name != "binary_data_output"}
    return InferRequest(identity, inputs, _outputs(told.get("outputs"), binary), binary, own)


def _inputs(told: Any, raw: memoryview) -> dict[str, np.ndarray]:
    if not isinstance(told, list) or not told:
        raise BadRequestError("expected a list of inputs")
    found: dict[str, np.ndarray] = {}
    for entry in told:
        tensor = _object(entry, "an input")
        name, datatype = _text(tensor, "name"), _text(tensor, "datatype")
        if name in found:
            raise BadRequestError(f"expected each input once, got {name!r} twice")
        shape = _shape(tensor.get("shape"), name)
        own = _object(tensor.get("parameters"), "parameters")
        if "shared_memory_region" in own:
            raise BadRequestError(f"expected data of input {name!r} in the request; shared memory is not spoken here")
        size = own.get("binary_data_size")
        if size is None:
            if "data" not in tensor:
                raise BadRequestError(f"expected data or binary_data_size for input {name!r}")
            found[name] = from_json(tensor["data"], datatype, shape, name)
            continue
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(raw):
            raise BadRequestError(f"expected binary_data_size of input {name!r} within the {len(raw)} bytes left"[:200])
        found[name] = from_bytes(raw[:size], datatype, shape, name)
        raw = raw[size:]
    if len(raw):
        raise BadRequestError(f"expected as many raw bytes as the inputs say, got {len(raw)} more")
    return found


def _outputs(told: Any, binary: bool) -> dict[str, bool] | None:
    if told is None:
        return None
    if not isinstance(told, list):
        raise BadRequestError("expected outputs as a list")
    found = {}
    for entry in told:
        output = _object(entry, "an output")
        parameters = _object(output.get("parameters"), "parameters")
        foreign = next((name for name in ("classification", "shared_memory_region") if parameters.get(name)), None)
        if foreign is not None:
            raise BadRequestError(f"the extension behind {foreign} is not spoken here; ask for label or logits")
        found[_text(output, "name")] = _flag(parameters.get("binary_data", binary), "binary_data")
    return found or None


def _shape(told: Any, name: str) -> tuple[int, ...]:
    sizes: Sequence[Any] = told if isinstance(told, list) else ()
    if not 0 < len(sizes) <= MOST_AXES or any(type(one) is not int or not 0 <= one < MOST_NUMBERS for one in sizes):
        raise BadRequestError(f"expected the shape of input {name!r} as a list of at most {MOST_AXES} sizes")
    if math.prod(max(size, 1) for size in sizes) > MOST_NUMBERS:
        raise BadRequestError(f"expected at most {MOST_NUMBERS} numbers in input {name!r}, got a larger shape")
    return tuple(sizes)


def _json(text: memoryview) -> Any:
    try:
        return json.loads(bytes(text), parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"expected JSON: {error}"[:200]) from error


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number; send tensors with it as raw bytes")


def _object(told: Any, what: str) -> Mapping[str, Any]:
    """An object; one that is absent, or null as some clients send it, is empty."""
    if told is None and what == "parameters":
        return {}
    if not isinstance(told, dict):
        raise BadRequestError(f"expected {what} as an object, got {type(told).__name__}")
    return told


def _text(told: Mapping[str, Any], key: str) -> str:
    found = told.get(key)
    if not isinstance(found, str):
        raise BadRequestError(f"expected {key} as a string, got {type(found).__name__}")
    if len(found) > MOST_ID:
        raise BadRequestError(f"expected {key} of at most {MOST_ID} characters")
    return found


def _flag(told: Any, what: str) -> bool:
    if not isinstance(told, bool):
        raise BadRequestError(f"expected {what} as true or false, got {told!r}"[:200])
    return told
