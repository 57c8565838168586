"""Click logs in files: one-hot rows as libFM and SVMlight have them, and tables of Criteo's columns."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from offramp.errors import DataError, NoLabelsError
from offramp.inputs import Inputs
from offramp.load.arrays import TensorSource
from offramp.load.click_preprocess import CRITEO, DENSE, ONE_HOT, SPARSE, ClickPreprocess, padded, parsed
from offramp.load.labels import COLUMNS
from offramp.load.preprocess import Preprocess
from offramp.load.tables import column_names, columns_of, text_of

SUFFIXES = (".libfm", ".libfm.gz", ".svm", ".svm.gz")
"""Of files with one-hot rows."""


def open_clicks(path: Path, preprocess: Preprocess | None) -> TensorSource:
    """The one-hot rows of a file, `label idx:1 idx:1 ...`.

    A model's ClickPreprocess sorts the ids by field. Without one they stay as they are written, int64 `(N, longest)`;
    rows that are shorter than the longest are padded behind with -1. Labels are -1 and 1 or 0 and 1, read as 0 and 1,
    and may be missing; empty rows are passed over, and rows are counted from 0 in errors.

    Raises:
        DataError: if there are no rows, or one has something else than fields, or the model takes something else.
    """
    _refuse_other(preprocess, ONE_HOT, path)
    rows = list(_rows(path))
    if not rows:
        raise _empty(path)
    ids: Inputs
    if isinstance(preprocess, ClickPreprocess):
        ids = preprocess.of_rows(rows, repr(str(path)))
    else:
        ids = torch.from_numpy(padded(parsed(rows, repr(str(path)))))
    return TensorSource(str(path), ids, None, lambda: _first_cells(path))


def open_criteo(path: Path, preprocess: ClickPreprocess) -> TensorSource:
    """The rows of a table with the columns I1 to I13 and C1 to C26; its column `label` is read on request.

    Raises:
        DataError: if there are no rows, a column is missing, or the model takes something else.
    """
    _refuse_other(preprocess, CRITEO, path)
    names = column_names(path)
    missing = [name for name in (*DENSE, *SPARSE) if name not in names]
    if missing:
        raise DataError(
            f"expected a header with I1 to I13 and C1 to C26 in {str(path)!r}, got none of {', '.join(missing[:3])}; "
            "write one as the first row"
        )
    columns = columns_of(path, [*DENSE, *SPARSE])
    if not columns[DENSE[0]]:
        raise _empty(path)
    return TensorSource(str(path), preprocess.of_columns(columns, repr(str(path))), None, lambda: _column(path))


def clicked(labels: Sequence[Any], where: str) -> Int[np.ndarray, " rows"]:
    """Labels -1 and 1, or 0 and 1, as 0 and 1.

    Raises:
        DataError: naming the first that is none of them; or if -1 and 0 are mixed.
    """
    values = np.array([_value(label, row, where) for row, label in enumerate(labels)], np.int64)
    if {-1, 0} <= set(values.tolist()):
        raise DataError(f"expected labels -1 and 1, or 0 and 1, in {where}, got both -1 and 0; write one of them")
    return (values > 0).astype(np.int64)


def _value(label: Any, row: int, where: str) -> int:
    try:
        value = float(label)
    except (TypeError, ValueError):
        value = math.nan
    if value in (-1.0, 0.0, 1.0):
        return int(value)
    raise DataError(
        f"expected labels -1, 0 or 1 in {where}, got {label!r} in row {row}; write 1 for a click and 0 for none"
    )


def _refuse_other(preprocess: Preprocess | None, schema: str, path: Path) -> None:
    if isinstance(preprocess, ClickPreprocess):
        takes = preprocess.schema
    elif preprocess is None:
        return
    else:
        takes = type(preprocess).__name__
    if takes != schema:
        raise DataError(
            f"expected a model that takes {schema} rows for {str(path)!r}, got one whose preprocessing is {takes}; "
            f"give the model the attribute preprocess=ClickPreprocess(..., schema={schema!r})"
        )


def _empty(path: Path) -> DataError:
    return DataError(f"expected at least one row in {str(path)!r}, got none; check how it was made")


def _rows(path: Path) -> Iterator[str]:
    with text_of(path) as stream:
        yield from (line for line in stream if line.partition("#")[0].strip())


def _first_cells(path: Path) -> Int[np.ndarray, " rows"]:
    cells = [row.split(maxsplit=1)[0] for row in _rows(path)]
    bare = next((number for number, cell in enumerate(cells) if ":" in cell), None)
    if bare is not None:
        raise NoLabelsError(f"expected labels in {str(path)!r}, got none in row {bare}; begin each row with 1 or 0")
    return clicked(cells, repr(str(path)))


def _column(path: Path) -> Int[np.ndarray, " rows"]:
    names = column_names(path)
    name = next((column for column in COLUMNS if column in names), None)
    if name is None:
        raise NoLabelsError(f"expected labels in {str(path)!r}, got columns {', '.join(names)}; add a column 'label'")
    return clicked(columns_of(path, [name])[name], repr(str(path)))
