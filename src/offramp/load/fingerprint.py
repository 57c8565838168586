"""A short name for data, equal for equal data."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from offramp.inputs import Inputs, leaves

_WHOLE = 256 * 1024**2
"""Up to this many bytes contents are read whole; beyond, evenly spaced parts are."""
_PARTS = 64


def of_parts(parts: Iterable[str | bytes]) -> str:
    """sha256 of the parts, in hex; where one part ends matters."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def of_array(array: np.ndarray) -> str:
    """sha256 of type, shape and contents, in hex."""
    rows = array
    if array.nbytes > _WHOLE:
        rows = array[:: -(-array.nbytes // _WHOLE)]
    return of_parts([str(array.dtype), str(array.shape), np.ascontiguousarray(rows).tobytes()])


def of_inputs(inputs: Inputs) -> str:
    """sha256 of the tensors of a batch, in hex."""
    names = list(inputs) if isinstance(inputs, dict) else []
    return of_parts([*names, *[of_array(_bits(tensor)) for tensor in leaves(inputs)]])


def of_file(path: Path) -> str:
    """sha256 of a file's size and contents, in hex."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        if size <= _WHOLE:
            return of_parts([str(size), stream.read()])
        parts = []
        for start in np.linspace(0, size - _WHOLE // _PARTS, _PARTS, dtype=np.int64):
            stream.seek(int(start))
            parts.append(stream.read(_WHOLE // _PARTS))
        return of_parts([str(size), *parts])


def _bits(tensor: torch.Tensor) -> np.ndarray:
    """The tensor as an array; bfloat16, which NumPy lacks, as float32."""
    tensor = tensor.detach().cpu()
    result: np.ndarray = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return result
