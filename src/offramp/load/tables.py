"""Tables: texts or numbers, one sample a row."""

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from jaxtyping import Float, Int

from offramp.errors import DataError, NoLabelsError
from offramp.inputs import Inputs
from offramp.load import fingerprint
from offramp.load.arrays import TensorSource, open_array
from offramp.load.image_preprocess import ImagePreprocess
from offramp.load.labels import COLUMNS, label_values
from offramp.load.optional import require
from offramp.load.preprocess import Preprocess
from offramp.sources import Labels

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")
_TEXT = ("text", "sentence")
_Columns = dict[str, list[Any]]


@dataclass(frozen=True, eq=False)
class TextTable:
    """A column of texts."""

    name: str
    texts: tuple[str, ...]
    preprocess: Preprocess
    path: Path

    def __len__(self) -> int:
        return len(self.texts)

    def fingerprint(self) -> str:
        """sha256 of the texts."""
        return fingerprint.of_parts(self.texts)

    def inputs(self, indices: Int[np.ndarray, " batch"]) -> Inputs:
        """The tokenised texts."""
        return self.preprocess.batch([self.texts[index] for index in indices.tolist()])

    def raw(self, index: int) -> str:
        """A text of the table."""
        return self.texts[index]

    def labels(self) -> Labels:
        """Class indices, by the column of labels."""
        return _read_labels(self.path)


def open_table(path: Path, preprocess: Preprocess | None) -> TextTable | TensorSource:
    """The rows of a table.

    A column `text` or `sentence`, or else the only column that is not of numbers, holds texts. Otherwise all
    columns of numbers but those of labels (`label`, `y`, `target`, `class_index`) make one vector. A csv has
    a header and the usual quotes; a tsv has a header and no quotes.
    """
    columns = columns_of(path, [name for name in column_names(path) if name not in COLUMNS])
    if not columns or not next(iter(columns.values())):
        raise DataError(f"expected rows with columns of inputs in {str(path)!r}, got none; check the header")
    text = _text_column(columns, path)
    if text is None:
        return _numbers(columns, preprocess, path)
    if preprocess is None or isinstance(preprocess, ImagePreprocess):
        raise DataError(
            f"expected a tokenizer for the texts in {str(path)!r}, the model brings none; use one that takes text"
        )
    return TextTable(str(path), tuple(map(str, columns[text])), preprocess, path)


def _numbers(columns: _Columns, preprocess: Preprocess | None, path: Path) -> TensorSource:
    values = np.stack([_floats(column) for column in columns.values()], axis=1)
    source = open_array(values.astype(np.float32), None, preprocess, str(path), lambda: _read_labels(path))
    assert isinstance(source, TensorSource)
    return source


def _text_column(columns: _Columns, path: Path) -> str | None:
    named = next((name for name in _TEXT if name in columns), None)
    texts = [name for name, column in columns.items() if not _is_numeric(column)]
    if named is not None or len(texts) < 2:
        return named or next(iter(texts), None)
    some = ", ".join(name[:20] for name in texts[:4])
    raise DataError(
        f"expected numbers, or one column of text, in {str(path)!r}, got text in {some}; "
        "name the text column 'text', or encode the others as numbers"
    )


def _read_labels(path: Path) -> Labels:
    header = column_names(path)
    name = next((column for column in COLUMNS if column in header), None)
    if name is None:
        raise NoLabelsError(f"expected labels in {str(path)!r}, got columns {', '.join(header)}; add a column 'label'")
    return label_values(columns_of(path, [name])[name], str(path))


def column_names(path: Path) -> list[str]:
    """The names of a table's columns, in their order."""
    if path.suffix == ".parquet":
        return list(require("pyarrow.parquet", "parquet tables").read_schema(path).names)
    with _rows(path) as rows:
        return next(rows, [])


def columns_of(path: Path, names: Sequence[str]) -> _Columns:
    """The columns `names`; the others are not kept."""
    if path.suffix == ".parquet":
        table: _Columns = require("pyarrow.parquet", "parquet tables").read_table(path, columns=list(names)).to_pydict()
        return table
    columns: _Columns = {name: [] for name in names}
    with _rows(path) as rows:
        header = next(rows, [])
        kept = [(position, columns[name]) for position, name in enumerate(header) if name in columns]
        for number, row in enumerate(rows):
            if len(row) != len(header):
                raise DataError(
                    f"expected {len(header)} cells in row {number} of {str(path)!r}, got {len(row)}; "
                    "check quotes and separators"
                )
            for position, column in kept:
                column.append(row[position])
    return columns


@contextmanager
def _rows(path: Path) -> Iterator[Iterator[list[str]]]:
    """The rows of a csv or tsv as lists of cells, the header first."""
    with text_of(path) as stream:
        if ".tsv" in path.suffixes:
            yield csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
        else:
            yield csv.reader(stream)


@contextmanager
def text_of(path: Path) -> Iterator[TextIO]:
    """The text of a table, compressed or not.

    Raises:
        DataError: if it turns out, while it is read, to be damaged.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as stream:
            yield stream
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError, zlib.error, csv.Error) as error:
        raise DataError(f"expected a UTF-8 table in {str(path)!r}, could not read it: {error}") from error


def _is_numeric(column: list[Any]) -> bool:
    try:
        _floats(column)
    except (ValueError, TypeError):
        return False
    return True


def _floats(column: list[Any]) -> Float[np.ndarray, " samples"]:
    """The column as numbers; an empty cell is NaN, which the source refuses by its row."""
    return np.array([np.nan if value in ("", None) else float(value) for value in column], dtype=np.float64)
