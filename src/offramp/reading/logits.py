"""The logits of a classifier."""

from typing import Any

import torch

from offramp.errors import CaptureError


def class_logits(output: Any) -> torch.Tensor:
    """The logits `(B, C)` in a model's output: the output itself, its `logits`, or its first entry.

    Raises:
        CaptureError: if there are none.
    """
    found = found_in(output)
    if not isinstance(found, torch.Tensor) or found.ndim != 2:
        got = tuple(found.shape) if isinstance(found, torch.Tensor) else type(output).__name__
        raise CaptureError(f"expected logits of shape (batch, classes) in the model's output, got {got}")
    if found.shape[1] == 1:
        raise CaptureError(
            "expected logits of at least two classes, got one number per sample; say what it is: the logit of a yes "
            "(task ctr) or a value (task regression)"
        )
    return found


def found_in(output: Any) -> Any:
    """The output itself where it is a tensor, its `logits`, or its first entry; None if it has none of these."""
    if isinstance(output, torch.Tensor):
        return output
    found = output.get("logits") if isinstance(output, dict) else getattr(output, "logits", None)
    if found is None and isinstance(output, list | tuple) and output:
        return output[0]
    return found
