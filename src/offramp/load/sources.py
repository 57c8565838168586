"""Inputs, from wherever they are kept; labels stay unread until asked for."""

from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from offramp.errors import DataError, InputError
from offramp.load.arrays import open_array
from offramp.load.click_preprocess import ClickPreprocess
from offramp.load.clicks import SUFFIXES as CLICKS
from offramp.load.clicks import open_clicks, open_criteo
from offramp.load.datasets import open_dataset
from offramp.load.factories import call_factory, is_factory
from offramp.load.images import open_folder, open_tar
from offramp.load.npz import open_npz
from offramp.load.preprocess import Preprocess
from offramp.load.tables import SUFFIXES as TABLES
from offramp.load.tables import open_table
from offramp.sources import Source

_KINDS = f"a folder of images, .npz, .tar, {', '.join((*TABLES, *CLICKS))}, or FILE.py:FACTORY"


def open_source(
    data: Any, preprocess: Preprocess | None = None, *, labels: str | PathLike[str] | None = None
) -> Source:
    """The samples in `data`.

    Args:
        data: a path to a folder of images (searched to the bottom, in the order of their names), a `.tar` of
            images, a `.npz` with `x` (and perhaps `y`), a csv, tsv or parquet table, a `.libfm` or `.svm` of
            clicks; `FILE.py:FACTORY` that returns any of the following; a tensor or array; a pair `(x, y)` of
            them, where x may also be a tuple or dict of tensors; a dict of tensors; a map-style torch Dataset
            (or list) of x or (x, y); a `Source`, which is taken as it is.
        preprocess: what pictures, texts and rows of clicks go through. Floats in arrays are only normalised;
            tensors that a Dataset yields are taken as they are.
        labels: csv with the columns file,class_index for a folder or tar of images; read only on request.

    Raises:
        DataError: if the data is empty, ragged or not finite.
        InputError: if there is no such file, or its kind is unknown.
    """
    if isinstance(data, PathLike):
        data = str(data)
    if isinstance(data, str) and is_factory(data):
        made = call_factory(data)
        if isinstance(made, str | PathLike) or made is None:
            raise InputError(
                f"expected {data!r} to return a Dataset or arrays, got {type(made).__name__}; return the data"
            )
        return _open_value(made, preprocess, data)
    if isinstance(data, str):
        return _open_path(data, preprocess, labels)
    return _open_value(data, preprocess, type(data).__name__)


def _open_path(data: str, preprocess: Preprocess | None, labels: str | PathLike[str] | None) -> Source:
    path = Path(data).expanduser()
    suffix = "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
    if not path.exists():
        raise InputError(f"expected data at {data!r}, got no such file or folder; check the path")
    if path.is_dir():
        return open_folder(path, preprocess, labels)
    if suffix.lower() == ".tar":
        return open_tar(path, preprocess, labels)
    if labels is not None:
        raise InputError(f"expected labels= only beside a folder or .tar of images, got it for {data!r}; drop it")
    if suffix.lower() == ".npz":
        return open_npz(path, preprocess)
    if suffix.lower() in CLICKS:
        return open_clicks(path, preprocess)
    if suffix.lower() in TABLES and isinstance(preprocess, ClickPreprocess):
        return open_criteo(path, preprocess)
    if suffix.lower() in TABLES:
        return open_table(path, preprocess)
    raise InputError(f"expected data as {_KINDS}; got {data!r} with suffix {suffix!r}")


def _open_value(data: Any, preprocess: Preprocess | None, name: str) -> Source:
    if isinstance(data, Source):
        return data
    if isinstance(data, tuple):
        if len(data) != 2:
            raise DataError(f"expected a pair (x, y), got a tuple of {len(data)}; give ((a, b), y), y may be None")
        return open_array(data[0], data[1], preprocess, name)
    if isinstance(data, torch.Tensor | np.ndarray | dict):
        return open_array(data, None, preprocess, name)
    if hasattr(data, "__len__") and hasattr(data, "__getitem__"):
        return open_dataset(data, preprocess, name)
    raise DataError(
        f"expected a path, tensor, array, pair (x, y) or map-style Dataset, got {type(data).__name__}; "
        "of a DataLoader pass its dataset"
    )
