"""Ids that a model has no row for, refused before they reach it.

A table raises on them at best; where the tables of several fields lie one below the other, an id beyond its field is
silently one of the next.
"""

from collections.abc import Sequence

import numpy as np

from offramp.arrays import Num
from offramp.serve.errors import BadRequestError
from offramp.serve.sample import Row

BEYOND = ("index out of range", "out of data bounds")
"""What PyTorch and ONNX Runtime say of a number that is no place in a table."""


def refuse_unknown(ids: Num[np.ndarray, "batch fields ..."], sizes: Sequence[int], least: int, name: str) -> None:
    """Refuses ids outside their fields.

    Args:
        ids: of a request.
        sizes: how many values each field has; none: nothing is known.
        least: 0, or -1 where that stands for no value.
        name: of the input.

    Raises:
        BadRequestError: naming the first.
    """
    if not sizes:
        return
    ends = np.array(sizes).reshape(-1, *[1] * (ids.ndim - 2))
    wrong = (ids < least) | (ids >= ends)
    if wrong.any():
        sample, field, *rest = (int(at) for at in np.argwhere(wrong)[0])
        raise BadRequestError(
            f"expected ids {least} to {sizes[field] - 1} in field {field} of input {name!r}, got "
            f"{ids[(sample, field, *rest)]} in sample {sample}; send the id that stands for unknown values"
        )


def to_blame(row: Row, error: Exception) -> bool:
    """Whether a model failed since it looked up a number of this sample that is no place in a table."""
    whole = any(one.dtype.kind in "iu" for one in row.values())
    return whole and any(words in str(error) for words in BEYOND)
