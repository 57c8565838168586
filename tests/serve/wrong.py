"""Requests that are wrong in ever so many ways: valid ones with some places changed, and bytes of all kinds."""

import json
from typing import Any

from hypothesis import strategies as st

from offramp.serve.tensors import TYPES
from tests.builds import images

X = images(2, 5).numpy()
FLAT = [round(float(one), 3) for one in X.ravel()]

TEXTS = st.one_of(
    st.sampled_from(
        ["", "input0", "logits", "label", "full", "balanced", "toy", "\ud800", "\0", "ü", "../../etc/passwd", "x" * 300]
    ),
    st.text(max_size=8),
    st.text(st.characters(categories=["Cs"]), min_size=1, max_size=3),
)
NUMBERS = st.one_of(
    st.sampled_from(
        [-1, 0, 1, 2, 3, 12, 2**31 - 1, 2**31, 2**63, 2**64, 10**400, -(10**30), 1e308, 1e-320, 0.5, 1e999, -1e999]
    ),
    st.integers(),
    st.floats(),
)
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
JSONS = st.recursive(
    LEAVES,
    lambda some: st.one_of(st.lists(some, max_size=4), st.dictionaries(TEXTS, some, max_size=3)),
    max_leaves=8,
)
DEEP = st.builds(
    lambda depth, leaf: "[" * depth + leaf + "]" * depth,
    st.sampled_from([10, 900, 5000, 100_000]),
    st.sampled_from(["", "1"]),
)

DATATYPES = st.one_of(st.sampled_from([*TYPES, "BF16", "BYTES", "FP8", "fp32", ""]), TEXTS)
SHAPES = st.one_of(
    st.lists(st.sampled_from([-1, 0, 1, 2, 3, 12, 432, 2**31 - 1, 2**31, 2**70, True, 1.0, None, "2"]), max_size=20),
    JSONS,
)
PARAMETERS = st.dictionaries(
    st.sampled_from(
        ["operating_point", "max_exit", "deadline_ms", "anytime", "return_exit_info", "binary_data_output", "x"]
    ),
    st.one_of(JSONS, st.sampled_from(["full", "balanced", 0, 3, 1000.0, True, False])),
    max_size=3,
)


def valid(binary: bool, identity: Any = "right") -> tuple[dict[str, Any], bytes]:
    """The JSON of a right request, and its raw bytes."""
    entry: dict[str, Any] = {"name": "input0", "shape": list(X.shape), "datatype": "FP32"}
    if binary:
        entry["parameters"] = {"binary_data_size": X.nbytes}
        return {"id": identity, "inputs": [entry]}, X.tobytes()
    entry["data"] = list(FLAT)
    return {"id": identity, "inputs": [entry]}, b""


def _in_entry(draw: st.DrawFn, entry: dict[str, Any]) -> None:
    kind = draw(st.sampled_from(["drop", "any", "shape", "datatype", "name", "size", "data", "extra", "parameters"]))
    if kind == "drop":
        entry.pop(draw(st.sampled_from(sorted(entry))), None)
    elif kind == "any":
        entry[draw(st.sampled_from([*sorted(entry), "data", "parameters"]))] = draw(JSONS)
    elif kind == "shape":
        entry["shape"] = draw(SHAPES)
    elif kind == "datatype":
        entry["datatype"] = draw(DATATYPES)
    elif kind == "name":
        entry["name"] = draw(TEXTS)
    elif kind == "size":
        sizes = st.one_of(st.integers(-3, X.nbytes + 9), NUMBERS)
        entry["parameters"] = {"binary_data_size": draw(sizes)}
    elif kind == "data":
        data: list[Any] = list(FLAT)
        data[draw(st.integers(0, len(data) - 1))] = draw(JSONS)
        entry["data"] = draw(st.sampled_from([data, data[:-1], [data], [[one] for one in data], [data, data]]))
    elif kind == "parameters":
        keys = st.sampled_from(["binary_data_size", "shared_memory_region", "binary_data", "x"])
        entry["parameters"] = draw(st.one_of(JSONS, st.dictionaries(keys, JSONS, max_size=2)))
    else:
        entry[draw(TEXTS)] = draw(JSONS)


def _in_request(draw: st.DrawFn, told: dict[str, Any]) -> None:
    kind = draw(
        st.sampled_from(["entry", "entry", "entry", "drop", "any", "id", "twice", "more", "outputs", "parameters"])
    )
    inputs = told.get("inputs")
    entries = [one for one in inputs if isinstance(one, dict) and one] if isinstance(inputs, list) else []
    if kind == "entry" and entries:
        _in_entry(draw, entries[0])
    elif kind == "drop":
        told.pop(draw(st.sampled_from(["id", "inputs"])), None)
    elif kind == "any":
        told[draw(st.sampled_from(["id", "inputs", "outputs", "parameters", "model_name"]))] = draw(JSONS)
    elif kind == "id":
        told["id"] = draw(TEXTS)
    elif kind == "twice" and entries:
        told["inputs"] = [*entries, *entries]
    elif kind == "more" and entries:
        told["inputs"] = [*entries, {**entries[0], "name": draw(TEXTS)}]
    elif kind == "outputs":
        flags = st.fixed_dictionaries({}, optional={"binary_data": JSONS, "classification": JSONS})
        told["outputs"] = draw(
            st.lists(st.fixed_dictionaries({"name": TEXTS}, optional={"parameters": flags}), max_size=3)
        )
    elif kind == "parameters":
        told["parameters"] = draw(PARAMETERS)


def _written(draw: st.DrawFn, told: Any) -> bytes:
    """As JSON, perhaps broken, with a key twice, or nested too deep."""
    text: bytes = json.dumps(told, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    how = draw(st.sampled_from(["whole"] * 6 + ["cut", "byte", "twice", "deep"]))
    if how == "cut":
        return bytes(text[: draw(st.integers(0, len(text)))])
    if how == "byte":
        at = draw(st.integers(0, len(text)))
        return text[:at] + draw(st.binary(max_size=3)) + text[at + draw(st.integers(0, 3)) :]
    if how == "twice":
        return text[:-1] + b', "inputs": ' + json.dumps(draw(JSONS)).encode() + b"}"
    if how == "deep":
        deep: str = draw(DEEP)
        return text[:-1] + b', "parameters": ' + deep.encode() + b"}"
    return text


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, int | None]:
    """A body, and how many of its bytes it says are JSON."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=80)), draw(st.none() | st.integers(0, 99))
    binary = draw(st.booleans())
    told, raw = valid(binary, draw(st.sampled_from(["fuzz", "fuzz", None])))
    for _ in range(draw(st.integers(0, 3))):
        _in_request(draw, told)
    text = _written(draw, told)
    if binary and draw(st.integers(0, 3)) == 0:
        raw = draw(st.sampled_from([raw[:-1], raw[: draw(st.integers(0, len(raw)))], raw + b"\0", raw * 2, b""]))
    length: int | None = len(text) if binary else None
    if draw(st.integers(0, 7)) == 0:
        length = draw(st.sampled_from([None, 0, 1, len(text) - 1, len(text) + 1, 2**31, 2**63]))
    return text + raw, length


HEADERS = st.one_of(
    st.sampled_from(["", "-1", "1e3", "0x10", " 7", "٣", "999999999999", "9" * 40, "7, 7", "nan", "+5"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=12),
)
"""What is no number of bytes, or hardly one."""


@st.composite
def messages(draw: st.DrawFn) -> str | bytes:
    """A message on a WebSocket."""
    body, length = draw(requests())
    kind = draw(st.sampled_from(["binary", "binary", "text", "raw", "short"]))
    if kind == "text":
        return body.decode("utf-8", "replace")
    if kind == "raw":
        return body
    if kind == "short":
        return draw(st.binary(max_size=5))
    told = len(body) if length is None else max(0, min(length, 2**32 - 1))
    return told.to_bytes(4, "little") + body
