import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from tritonclient.utils import serialize_byte_tensor

from offramp.serve.errors import BadRequestError
from offramp.serve.tensors import BF16, BYTES, TYPES, cast, datatype_of, from_bytes, from_json, to_bytes


@given(data=st.data(), name=st.sampled_from(sorted(TYPES)))
def test_bytes_there_and_back(data: st.DataObject, name: str) -> None:
    tensor = data.draw(arrays(TYPES[name], array_shapes(max_dims=3, max_side=4)))
    raw = to_bytes(tensor)
    assert raw == tensor.tobytes()
    np.testing.assert_array_equal(from_bytes(raw, name, tensor.shape, "x"), tensor)
    assert datatype_of(tensor.dtype) == name


@given(data=st.data(), name=st.sampled_from(sorted(set(TYPES) - {"FP16"})))
def test_json_there_and_back(data: st.DataObject, name: str) -> None:
    finite = {"allow_nan": False, "allow_infinity": False} if name.startswith("FP") else None
    tensor = data.draw(arrays(TYPES[name], array_shapes(max_dims=3, max_side=4), elements=finite))
    for form in (tensor.tolist(), tensor.ravel().tolist()):
        np.testing.assert_array_equal(from_json(form, name, tensor.shape, "x"), tensor)


def test_a_number_just_beyond_the_range_of_floats_is_refused_as_not_finite() -> None:
    """Found by the fuzzing: NumPy warns of it, and where warnings are errors that was a failure of the server's own."""
    found = from_json([3.4028235677973366e38, 1.0], "FP32", (2,), "x")
    assert found.tolist() == [np.inf, 1.0]
    with pytest.raises(BadRequestError, match="got others in sample 0"):
        cast(found, np.dtype("float32"), "x")


@given(some=st.lists(st.text(max_size=6), min_size=1, max_size=6), column=st.booleans())
def test_texts_there_and_back(some: list[str], column: bool) -> None:
    """As Triton's client writes them."""
    shape = (len(some), 1) if column else (len(some),)
    texts = np.array([one.encode() for one in some], object).reshape(shape)
    raw = serialize_byte_tensor(texts).item()
    for found in (from_bytes(raw, BYTES, shape, "x"), from_json(some, BYTES, shape, "x")):
        assert (found.shape, found.dtype) == (shape, np.dtype(object))
        assert found.ravel().tolist() == some
    assert to_bytes(found) == raw


@given(raw=st.binary(max_size=40), count=st.integers(0, 3))
def test_bytes_are_texts_or_are_refused(raw: bytes, count: int) -> None:
    """By a slow definition: cut off piece after piece."""
    expected, rest = [], raw
    try:
        for _ in range(count):
            (size,) = struct.unpack("<I", rest[:4])
            assert len(rest) >= 4 + size
            expected.append(rest[4 : 4 + size].decode())
            rest = rest[4 + size :]
        assert rest == b""
    except (struct.error, AssertionError, UnicodeDecodeError):
        with pytest.raises(BadRequestError, match="input 'x'"):
            from_bytes(raw, BYTES, (count,), "x")
    else:
        assert from_bytes(raw, BYTES, (count,), "x").tolist() == expected


def test_bfloat16_is_the_upper_half_of_a_single() -> None:
    values = np.array([1.0, -2.5, 0.0, 3.140625], np.float32)
    raw = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    np.testing.assert_array_equal(from_bytes(raw, BF16, (2, 2), "x"), values.reshape(2, 2))


@pytest.mark.parametrize(
    ("data", "datatype", "shape", "message"),
    [
        ([1, 2], "FP32", (3,), "3 numbers"),
        ([[1], [2, 3]], "FP32", (3,), "evenly nested"),
        ([1.5], "INT32", (1,), "type INT32"),
        ([True], "FP32", (1,), "type FP32"),
        (["a"], "FP32", (1,), "type FP32"),
        ([300], "UINT8", (1,), "range"),
        ([-1], "UINT64", (1,), "range"),
        ([2**70], "INT64", (1,), "type INT64"),
        ([{}], "INT64", (1,), "type INT64"),
        ([1.0], "FP16", (1,), "raw bytes"),
        ([1.0], "FP8", (1,), "a datatype among"),
        (None, "FP32", (1,), "as a list"),
        ([0, "a" * 50_000], "FP32", (2,), "got str"),
        (["a", 1, None], BYTES, (3,), "expected strings .* got NoneType, int"),
        (["a", "b"], BYTES, (3,), "3 texts"),
        ("a", BYTES, (1,), "as a list"),
    ],
)
def test_json_that_is_no_such_tensor_is_refused(
    data: object, datatype: str, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(BadRequestError, match=message):
        from_json(data, datatype, shape, "x")


@pytest.mark.parametrize(
    ("raw", "datatype", "shape", "message"),
    [
        (b"\0" * 7, "FP32", (2,), "expected 8 bytes"),
        (b"", "FP32", (2**31 - 1, 2**31 - 1), "got 0"),
        (b"\2", "BOOL", (1,), "0 and 1"),
        (b"\0", "WHAT", (1,), "a datatype among"),
    ],
)
def test_bytes_that_are_no_such_tensor_are_refused(
    raw: bytes, datatype: str, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(BadRequestError, match=message):
        from_bytes(raw, datatype, shape, "x")
