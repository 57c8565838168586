"""From rows of a click log to ids of categories and dense features."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int

from offramp.errors import DataError, InputError
from offramp.inputs import Inputs

PADDING = -1
"""Stands where a row has no id."""

ONE_HOT, CRITEO = "one-hot", "criteo"
DENSE = tuple(f"I{number}" for number in range(1, 14))
SPARSE = tuple(f"C{number}" for number in range(1, 27))
"""The columns of a Criteo log: whole numbers, and categories as hexadecimal digits."""

_HEXADECIMAL = frozenset("0123456789abcdefABCDEF")
_ONE = frozenset(("1", "1.0", "1."))
_LONGEST = 18
"""Digits of an id, so that it is within 64 bits."""

_Ids = tuple[Int[np.ndarray, " ids"], Int[np.ndarray, " rows"]]
"""The ids of all rows one after the other, and how many each row has."""


@dataclass(frozen=True)
class ClickPreprocess:
    """Rows of a click log as a batch.

    One-hot rows are texts as libFM and SVMlight have them, `label idx:1 idx:1 ...`; the label may be missing and is not
    read. The ids of the first field come first, then those of the second, and so on, so that an id tells its field and
    the order within a row is free. Each is counted from the first id of its field.

    Criteo rows map the names `I1` to `I13` to numbers and `C1` to `C26` to hexadecimal digits; other names are passed
    over. A number becomes log(1 + x), one below zero or missing becomes 0; digits become their value modulo the size of
    the field, and 0 where they are missing (both as DLRM's own code does).

    Attributes:
        sizes: how many values each categorical field has.
        schema: `one-hot` or `criteo`.
        most: how many ids a field of a one-hot row has at most; a field may then be empty, and is padded with -1. None
            where it has exactly one.
        first: the first id of one-hot rows.

    Examples:
        >>> ClickPreprocess((4, 2)).batch(["1 3:1 4:1", "0:1 5:1"]).tolist()
        [[3, 0], [0, 1]]
        >>> ClickPreprocess((4, 2), most=2).batch(["1 3:1 0:1", "-1 5:1"]).tolist()
        [[[3, 0], [-1, -1]], [[-1, -1], [1, -1]]]
    """

    sizes: tuple[int, ...]
    schema: str = ONE_HOT
    most: int | None = None
    first: int = 0
    task: ClassVar[str] = "ctr"

    def __post_init__(self) -> None:
        if self.schema not in (ONE_HOT, CRITEO):
            raise InputError(f"expected schema {ONE_HOT!r} or {CRITEO!r}, got {self.schema!r}")
        if not self.sizes or min(self.sizes) < 1:
            raise InputError(f"expected sizes of at least 1, one for each field, got {self.sizes}")
        if self.schema == CRITEO and len(self.sizes) != len(SPARSE):
            raise InputError(f"expected {len(SPARSE)} sizes, one for each of C1 to C26, got {len(self.sizes)}")
        if self.most is not None and self.most < 1:
            raise InputError(f"expected most of at least 1, got {self.most}; leave it out for exactly one id per field")

    @classmethod
    def criteo(cls, buckets: int) -> "ClickPreprocess":
        """Of Criteo rows, all of whose categories have this many buckets."""
        return cls((buckets,) * len(SPARSE), CRITEO)

    def batch(self, items: Sequence[Any]) -> Inputs:
        """One-hot rows as int64 ids `(N, fields)`, or `(N, fields, most)`; Criteo rows as a dict of `dense`, float32
        `(N, 13)`, and `sparse`, int64 `(N, 26)`.

        Raises:
            DataError: naming the first row that is not of the schema, counted from 0.
        """
        return (
            self.of_rows(items, "the batch")
            if self.schema == ONE_HOT
            else self.of_columns(_columns(items), "the batch")
        )

    def of_rows(self, rows: Iterable[Any], where: str) -> Int[torch.Tensor, "rows fields *most"]:
        """One-hot rows as a batch; `where` is what errors call their source."""
        return torch.from_numpy(self._by_field(parsed(rows, where), where))

    def of_columns(self, columns: Mapping[str, Sequence[Any]], where: str) -> dict[str, torch.Tensor]:
        """The columns of Criteo rows as a batch; `where` is what errors call their source."""
        dense = np.stack([_logarithms(columns[name], name, where) for name in DENSE], axis=1)
        named = zip(SPARSE, self.sizes, strict=True)
        sparse = np.stack([_buckets(columns[name], size, name, where) for name, size in named], axis=1)
        return {"dense": torch.from_numpy(dense), "sparse": torch.from_numpy(sparse)}

    def to_manifest(self) -> dict[str, Any]:
        """A plain dict that JSON can hold; `preprocess_from_manifest` reads it."""
        return {"kind": "clicks"} | asdict(self) | {"sizes": list(self.sizes)}

    @classmethod
    def from_manifest(cls, values: Mapping[str, Any]) -> "ClickPreprocess":
        """What `to_manifest` recorded, without its kind."""
        return cls(**{**values, "sizes": tuple(values["sizes"])})

    def _by_field(self, found: _Ids, where: str) -> Int[np.ndarray, "rows fields *most"]:
        ids, lengths = found
        fields, ends = len(self.sizes), self.first + np.cumsum(self.sizes)
        row = np.repeat(np.arange(len(lengths)), lengths)
        self._refuse_unknown(ids, row, where)
        field = np.searchsorted(ends, ids, side="right")
        slot = row * fields + field
        counts = np.bincount(slot, minlength=len(lengths) * fields)
        self._refuse_numbers(counts.reshape(-1, fields), ends, where)
        order = np.argsort(slot, kind="stable")
        result = np.full((len(counts), self.most or 1), PADDING)
        place = np.arange(len(ids)) - np.repeat(np.cumsum(counts) - counts, counts)
        result[slot[order], place] = (ids - (ends - self.sizes)[field])[order]
        return result.reshape(-1, fields) if self.most is None else result.reshape(-1, fields, self.most)

    def _refuse_unknown(self, ids: Int[np.ndarray, " ids"], row: Int[np.ndarray, " ids"], where: str) -> None:
        last = self.first + sum(self.sizes) - 1
        strange = (ids < self.first) | (ids > last)
        if strange.any():
            bad = int(np.argmax(strange))
            raise DataError(
                f"expected ids {self.first} to {last}, which the model knows, in {where}, got {ids[bad]} in row "
                f"{row[bad]}; write the id of an unknown value there, or take a model of a larger vocabulary"
            )

    def _refuse_numbers(
        self, counts: Int[np.ndarray, "rows fields"], ends: Int[np.ndarray, " fields"], where: str
    ) -> None:
        wrong = counts != 1 if self.most is None else counts > self.most
        if wrong.any():
            row, field = divmod(int(np.argmax(wrong)), len(self.sizes))
            raise DataError(
                f"expected {'one id' if self.most is None else f'at most {self.most} ids'} of each of "
                f"{len(self.sizes)} fields in {where}, got {counts[row, field]} of field {field} (ids "
                f"{ends[field] - self.sizes[field]} to {ends[field] - 1}) in row {row}; mend the row, or give the "
                f"model's ClickPreprocess a larger `most`"
            )


def ids_of(manifest: Mapping[str, Any] | None, shape: Sequence[Any]) -> dict[str, Any]:
    """What is known of an input of whole numbers of that shape, without batch axis, where preprocessing is of clicks.

    `sizes`, how many values each field has, and `least`, the smallest id: -1 where that stands for none. Nothing where
    the preprocessing, as `to_manifest` has it, is another, or there are not as many fields.
    """
    if manifest is None or manifest["kind"] != "clicks":
        return {}
    found = ClickPreprocess.from_manifest({key: value for key, value in manifest.items() if key != "kind"})
    fields = len(found.sizes)
    if len(shape) != (1 if found.most is None else 2) or shape[0] != fields:
        return {}
    return {"sizes": list(found.sizes), "least": 0 if found.most is None else PADDING}


def parsed(rows: Iterable[Any], where: str) -> _Ids:
    """The ids of one-hot rows as they are written.

    Raises:
        DataError: naming the first row, counted from 0, that has something else than `idx:1`.
    """
    ids: list[int] = []
    lengths: list[int] = []
    for number, row in enumerate(rows):
        if not isinstance(row, str):
            raise DataError(
                f"expected rows 'label idx:1 idx:1 ...' in {where}, got {type(row).__name__} in row {number}"
            )
        cells = row.partition("#")[0].split()
        fields = cells[1:] if cells and ":" not in cells[0] else cells  # the label stays unread
        for cell in fields:
            digits, _, value = cell.partition(":")
            if value not in _ONE or not (digits.isascii() and digits.isdecimal()) or len(digits) > _LONGEST:
                raise _other(cell, number, where)
            ids.append(int(digits))
        lengths.append(len(fields))
    return np.array(ids, np.int64), np.array(lengths, np.int64)


def padded(found: _Ids) -> Int[np.ndarray, "rows longest"]:
    """Ids in the order in which they are written, rows that are shorter than the longest padded with -1."""
    ids, lengths = found
    result = np.full((len(lengths), lengths.max(initial=0)), PADDING)
    result[np.arange(result.shape[1]) < lengths[:, None]] = ids
    return result


def _other(cell: str, row: int, where: str) -> DataError:
    return DataError(
        f"expected one-hot fields 'idx:1' in {where}, got {cell!r} in row {row}; give other numbers as a table"
    )


def _columns(items: Sequence[Any]) -> dict[str, list[Any]]:
    for number, item in enumerate(items):
        missing = [name for name in (*DENSE, *SPARSE) if not isinstance(item, Mapping) or name not in item]
        if missing:
            raise DataError(
                f"expected the names I1 to I13 and C1 to C26 in row {number} of the batch, got none of {missing[0]!r}; "
                "give a missing value as None"
            )
    return {name: [item[name] for item in items] for name in (*DENSE, *SPARSE)}


def _missing(cell: Any) -> bool:
    return cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell))


def _logarithms(cells: Sequence[Any], name: str, where: str) -> Float[np.ndarray, " rows"]:
    numbers = [0.0 if _missing(cell) else _number(cell, name, row, where) for row, cell in enumerate(cells)]
    return np.log1p(np.maximum(numbers, 0.0)).astype(np.float32)


def _number(cell: Any, name: str, row: int, where: str) -> float:
    try:
        number = float(cell)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise DataError(
            f"expected numbers in column {name} of {where}, got {cell!r} in row {row}; leave it empty if it is missing"
        )
    return number


def _buckets(cells: Sequence[Any], size: int, name: str, where: str) -> Int[np.ndarray, " rows"]:
    return np.array(
        [0 if _missing(cell) else _digits(cell, name, row, where) % size for row, cell in enumerate(cells)], np.int64
    )


def _digits(cell: Any, name: str, row: int, where: str) -> int:
    if not isinstance(cell, str) or not _HEXADECIMAL.issuperset(cell):
        raise DataError(
            f"expected hexadecimal digits in column {name} of {where}, got {cell!r} in row {row}; leave it empty if it "
            "is missing"
        )
    return int(cell, 16)
