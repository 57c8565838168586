"""Tensors as the Open Inference Protocol sends them: numbers in JSON, or raw little-endian bytes behind it."""

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from offramp.serve.errors import BadRequestError

TYPES = {
    "BOOL": np.dtype(bool),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
"""Datatypes by name, but for BF16 and BYTES, which NumPy has no numbers for; BYTES are texts here."""

BF16, BYTES = "BF16", "BYTES"

KINDS: dict[str, set[type]] = {"b": {bool}, "u": {int}, "i": {int}, "f": {int, float}}
"""What JSON may hold for each kind of NumPy type."""


def datatype_of(dtype: np.dtype[Any]) -> str:
    """The protocol's name of a NumPy type.

    Example:
        >>> datatype_of(np.dtype("float32"))
        'FP32'
    """
    return next(name for name, known in TYPES.items() if known == dtype.newbyteorder("<"))


def from_bytes(raw: bytes | memoryview, datatype: str, shape: Sequence[int], name: str) -> np.ndarray:
    """A tensor from raw bytes, row by row; bfloat16 comes as float32, BYTES as an array of strings.

    Raises:
        BadRequestError: if the datatype is unknown, there are not as many bytes as the shape takes, or a text is not
            UTF-8.
    """
    if datatype == BYTES:
        return _strings(_unpacked(raw, math.prod(shape), name), shape)
    stored = np.dtype("<u2") if datatype == BF16 else _known(datatype, name)
    expected = math.prod(shape) * stored.itemsize
    if len(raw) != expected:
        raise BadRequestError(f"expected {expected} bytes for {name!r} ({datatype} {list(shape)}), got {len(raw)}")
    found = np.frombuffer(raw, stored).reshape(shape)
    if datatype == BF16:
        return (found.astype(np.uint32) << 16).view(np.float32)
    if datatype == "BOOL" and found.view(np.uint8).max(initial=0) > 1:
        raise BadRequestError(f"expected bytes of 0 and 1 for input {name!r} (BOOL), got others")
    return found


def from_json(data: Any, datatype: str, shape: Sequence[int], name: str) -> np.ndarray:
    """A tensor from a list of numbers or texts, flat or nested; texts make an array of strings.

    Raises:
        BadRequestError: if the datatype is unknown or has no JSON form, or numbers are missing or of another kind.
    """
    if datatype in ("FP16", BF16):
        raise BadRequestError(f"expected raw bytes for input {name!r}, since {datatype} has no JSON form; or send FP32")
    dtype = None if datatype == BYTES else _known(datatype, name)
    flat = _flat(data, name)
    if len(flat) != math.prod(shape):
        what = "texts" if dtype is None else "numbers"
        raise BadRequestError(f"expected {math.prod(shape)} {what} for input {name!r} {list(shape)}, got {len(flat)}")
    if dtype is None:
        if others := sorted({type(one).__name__ for one in flat} - {"str"}):
            raise BadRequestError(f"expected strings in input {name!r} (BYTES), got {', '.join(others)}")
        return _strings(flat, shape)
    kinds = set(map(type, flat))  # NumPy is not asked: next to a long string it would make every number as long
    if not kinds <= KINDS[dtype.kind]:
        wrong = ", ".join(sorted(kind.__name__ for kind in kinds - KINDS[dtype.kind]))
        raise BadRequestError(f"expected numbers of type {datatype} in input {name!r}, got {wrong}")
    try:
        with np.errstate(over="ignore"):  # what is beyond the range of floats becomes infinite, and is refused as such
            return np.array(flat, dtype).reshape(shape)
    except OverflowError as error:
        raise BadRequestError(
            f"expected numbers of type {datatype} in input {name!r}, got some beyond its range"
        ) from error


def _unpacked(raw: bytes | memoryview, count: int, name: str) -> list[str]:
    """Texts, each behind the number of its bytes as four bytes."""
    found: list[str] = []
    at = 0
    while at < len(raw) and len(found) < count:
        end = at + 4 + int.from_bytes(raw[at : at + 4], "little")
        if end > len(raw):
            break
        try:
            found.append(str(raw[at + 4 : end], "utf-8"))
        except UnicodeDecodeError as error:
            raise BadRequestError(f"expected UTF-8 in text {len(found)} of input {name!r}: {error.reason}") from error
        at = end
    if len(found) != count or at != len(raw):
        raise BadRequestError(
            f"expected {count} texts for input {name!r}, each behind its length in four bytes, and nothing more, got "
            f"{len(found)} and {len(raw) - at} bytes"
        )
    return found


def _strings(flat: list[str], shape: Sequence[int]) -> np.ndarray:
    found = np.empty(len(flat), object)
    found[:] = flat
    return found.reshape(shape)


def _flat(data: Any, name: str) -> list[Any]:
    """The numbers of an evenly nested list, row by row."""
    level = data
    while isinstance(level, list) and level and isinstance(level[0], list):
        if any(not isinstance(one, list) or len(one) != len(level[0]) for one in level):
            raise BadRequestError(f"expected data of input {name!r} as a flat or an evenly nested list")
        level = list(chain.from_iterable(level))
    if not isinstance(level, list):
        raise BadRequestError(f"expected data of input {name!r} as a list")
    return level


def cast(tensor: np.ndarray, dtype: np.dtype[Any], name: str) -> np.ndarray:
    """In the type of the model, where that loses nothing but digits.

    Raises:
        BadRequestError: if the type is another kind of number, or a number is not finite or too large.
    """
    if not np.can_cast(tensor.dtype, dtype, "same_kind"):
        raise BadRequestError(f"expected numbers like {dtype.name} for input {name!r}, got {tensor.dtype.name}")
    with np.errstate(over="ignore"):
        found = tensor.astype(dtype, copy=False)
    if dtype.kind == "f":
        wrong = ~np.isfinite(found)
    elif tensor.dtype != dtype:
        wrong = found != tensor
    else:
        return found
    if wrong.any():
        bad = int(wrong.reshape(len(found), -1).any(axis=1).argmax())
        raise BadRequestError(f"expected finite numbers within {dtype.name} for {name!r}, got others in sample {bad}")
    return found


def to_bytes(tensor: np.ndarray) -> bytes:
    """Raw bytes, row by row, little-endian; strings each behind their length as four bytes."""
    if tensor.dtype.kind in "OSU":
        encoded = [one if isinstance(one, bytes) else str(one).encode() for one in tensor.ravel().tolist()]
        return b"".join(len(one).to_bytes(4, "little") + one for one in encoded)
    return np.ascontiguousarray(tensor, tensor.dtype.newbyteorder("<")).tobytes()


def _known(datatype: str, name: str) -> np.dtype[Any]:
    if datatype not in TYPES:
        raise BadRequestError(
            f"expected a datatype among {', '.join(TYPES)}, {BF16}, {BYTES} for input {name!r}, got {datatype!r}"
        )
    return TYPES[datatype]
