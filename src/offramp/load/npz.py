"""Samples in a `.npz` file."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from offramp.errors import DataError
from offramp.load.arrays import ImageArray, TensorSource, open_array
from offramp.load.preprocess import Preprocess


def open_npz(path: Path, preprocess: Preprocess | None) -> ImageArray | TensorSource:
    """The array `x` of a `.npz` file; its `y` is read when labels are asked for."""
    x = _member(path, "x")
    if x is None:
        raise DataError(
            f"expected an array 'x' in {str(path)!r}, got {', '.join(_names(path)) or 'none'}; save it as x=..."
        )
    return open_array(x, None, preprocess, str(path), lambda: _member(path, "y"))


def _names(path: Path) -> list[str]:
    with np.load(path, allow_pickle=False) as arrays:
        return list(arrays.files)


def _member(path: Path, name: str) -> np.ndarray | None:
    if not zipfile.is_zipfile(path):
        raise DataError(f"expected a .npz file, {str(path)!r} is damaged or something else; save it again")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return np.asarray(arrays[name]) if name in arrays.files else None
    except ValueError as error:
        raise DataError(
            f"expected a plain array {name!r} in {str(path)!r}, got Python objects (different sizes?): "
            f"{error}; give all samples one shape"
        ) from error
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"expected a .npz file, {str(path)!r} is damaged: {error}; save it again") from error
