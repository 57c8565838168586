"""The values of a regression, with how sure the backbone is of them."""

from typing import Any

import torch

from offramp.errors import CaptureError
from offramp.reading.logits import found_in

SURE = -60.0
"""Logarithm of the backbone's spread: what it says is what is asked for."""


def values_of(output: Any, tolerances: int | None = None) -> torch.Tensor:
    """`(values, log spread)`, `(B, 2 K)`, of values `(B,)` or `(B, K)`.

    Args:
        output: what the model returns.
        tolerances: how many there are; one counts for all values, None for whatever there will be.

    Raises:
        CaptureError: if there are no values, or another number of them.

    >>> values_of(torch.tensor([2.0, -1.0])).tolist()
    [[2.0, -60.0], [-1.0, -60.0]]
    """
    found = found_in(output)
    if not isinstance(found, torch.Tensor) or found.ndim not in (1, 2) or not found.is_floating_point():
        got = tuple(found.shape) if isinstance(found, torch.Tensor) else type(output).__name__
        raise CaptureError(f"expected values of shape (batch,) or (batch, values) in the model's output, got {got}")
    values = found[:, None] if found.ndim == 1 else found
    if tolerances is not None and tolerances not in (1, values.shape[1]):
        raise CaptureError(
            f"expected one tolerance, or {values.shape[1]}, one for each value of the model, got {tolerances}"
        )
    return torch.cat([values, torch.full_like(values, SURE)], dim=1)
