"""The logit of a yes as the logits of two classes."""

from typing import Any

import torch

from offramp.errors import CaptureError
from offramp.reading.logits import found_in


def two_logits(output: Any) -> torch.Tensor:
    """`(0, z)` of a logit z, `(B,)` or `(B, 1)`; logits of two classes as they are.

    Raises:
        CaptureError: if there is neither.

    >>> two_logits(torch.tensor([2.0, -1.0])).tolist()
    [[0.0, 2.0], [0.0, -1.0]]
    """
    found = found_in(output)
    if not isinstance(found, torch.Tensor) or found.ndim not in (1, 2) or found.shape[1:] not in ((), (1,), (2,)):
        got = tuple(found.shape) if isinstance(found, torch.Tensor) else type(output).__name__
        raise CaptureError(f"expected one logit per sample, (batch,) or (batch, 1), in the model's output, got {got}")
    if found.ndim == 2 and found.shape[1] == 2:
        return found
    click = found.reshape(-1, 1)
    return torch.cat([torch.zeros_like(click), click], dim=1)
