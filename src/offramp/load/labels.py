"""Labels: numbers, or class indices from names, folders or a table; read only on request."""

import csv
from collections.abc import Sequence
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from offramp.arrays import Int, Num
from offramp.errors import DataError, InputError, NoLabelsError
from offramp.sources import Labels, Source

COLUMNS = ("class_index", "label", "y", "target")
"""Names of a column of labels, in order of preference."""


def label_values(values: Sequence[Any] | np.ndarray, where: str) -> Num[np.ndarray, "samples ..."]:
    """Labels `(N,)`, or `(N, parts)` where a sample has several: whole numbers as int64, others as float64.

    Names become their place among the sorted names. Which of these a task takes it says itself.

    Raises:
        DataError: if there is anything but numbers or names, or a number is not finite.
    """
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2):
        raise DataError(f"expected one label per sample in {where}, or a row of them, got shape {array.shape}")
    if array.dtype.kind in "US":
        if np.any(array == ""):
            raise DataError(
                f"expected a label for each sample in {where}, got none in row {int(np.argmax(array == ''))}"
            )
        array = _numbers_or_names(array)
    if array.dtype.kind not in "biuf":
        bad = next((value for value in array.ravel().tolist() if not isinstance(value, int)), array.dtype)
        raise DataError(f"expected numbers or class names as labels in {where}, got {bad!r}")
    if not np.isfinite(array).all():
        bad = int(np.argmax(~np.isfinite(array).reshape(len(array), -1).all(axis=1)))
        raise DataError(f"expected finite labels in {where}, got NaN or infinity in row {bad}; clean or drop it")
    whole = bool((array % 1 == 0).all()) if array.dtype.kind == "f" else True
    return array.astype(np.int64 if whole else np.float64)


def from_folders(names: Sequence[str], classes: Sequence[str], where: str) -> Int[np.ndarray, " samples"]:
    """The class of each file: its top folder's place among the sorted `classes`, as ImageFolder counts."""
    index = {name: position for position, name in enumerate(sorted(classes))}
    tops = [PurePosixPath(name).parts[0] if len(PurePosixPath(name).parts) > 1 else None for name in names]
    loose = next((name for name, top in zip(names, tops, strict=True) if top not in index), None)
    if loose is not None:
        raise NoLabelsError(
            f"expected labels for {where}, but {loose!r} is in no class folder; sort the images into one "
            "folder per class, or give labels= (--label-file) a csv with the columns file,class_index"
        )
    return np.array([index[str(top)] for top in tops], dtype=np.int64)


def from_csv(path: str | PathLike[str], names: Sequence[str]) -> Num[np.ndarray, "samples ..."]:
    """The label of each file by a csv with a column `file` (path or base name) and one of `COLUMNS`.

    Raises:
        DataError: if a column is missing, or a file has no row.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise InputError(f"expected a csv of labels at {str(path)!r}, got no such file; check the path")
    with file.open(newline="", encoding="utf-8") as stream:
        rows = csv.DictReader(stream)
        columns = rows.fieldnames or []
        column = next((name for name in COLUMNS if name in columns), None)
        if "file" not in columns or column is None:
            raise DataError(f"expected columns file,class_index in {str(file)!r}, got {','.join(columns)}")
        table = {row["file"]: row[column] for row in rows}
    keys = [name if name in table else PurePosixPath(name).name for name in names]
    missing = [name for name, key in zip(names, keys, strict=True) if key not in table]
    if missing:
        raise DataError(
            f"expected a label for each of {len(names)} images in {str(file)!r}, got "
            f"{len(names) - len(missing)}; add a row for {missing[0]!r}"
        )
    return label_values([table[key] for key in keys], repr(str(file)))


def same_length(labels: Num[np.ndarray, "labels ..."], count: int, where: str) -> Num[np.ndarray, "labels ..."]:
    """The labels, if there are `count` of them."""
    if len(labels) != count:
        raise DataError(
            f"expected {count} labels in {where}, one per sample, got {len(labels)}; give both the same length"
        )
    return labels


def none_in(where: str, remedy: str) -> NoLabelsError:
    """The error of a source without labels."""
    return NoLabelsError(f"expected labels in {where}, got none; {remedy}")


def _numbers_or_names(array: np.ndarray) -> np.ndarray:
    try:
        return array.astype(np.float64)
    except ValueError:
        return np.unique(array, return_inverse=True)[1]


def known_labels(source: Source, wanted: bool | None) -> Labels | None:
    """The labels of a source; None where there are none, or they are not wanted.

    Args:
        source: where they are looked for.
        wanted: True: they must be there; False: they are not read; None: they are used where they are.

    Raises:
        NoLabelsError: if they must be there and are not.
    """
    if wanted is False:
        return None
    try:
        return source.labels()
    except NoLabelsError:
        if wanted:
            raise
        return None
