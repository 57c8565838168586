"""The logits of labels of which a sample may have several."""

from typing import Any

import torch

from offramp.errors import CaptureError
from offramp.reading.logits import found_in


def label_logits(output: Any) -> torch.Tensor:
    """The logits `(B, L)` in a model's output; `(B,)` is one label.

    Raises:
        CaptureError: if there are none.

    >>> label_logits({"logits": torch.zeros(2, 3)}).shape
    torch.Size([2, 3])
    """
    found = found_in(output)
    if not isinstance(found, torch.Tensor) or found.ndim not in (1, 2) or not found.is_floating_point():
        got = tuple(found.shape) if isinstance(found, torch.Tensor) else type(output).__name__
        raise CaptureError(f"expected logits of shape (batch, labels) in the model's output, got {got}")
    return found[:, None] if found.ndim == 1 else found
