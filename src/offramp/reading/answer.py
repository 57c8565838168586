"""Which tensor of a model's output stands for its answer, whatever the task."""

from typing import Any

import torch
from torch.utils import _pytree as pytree

from offramp.errors import CaptureError

NAMED = ("logits", "out")
"""Entries that hold the answer by the conventions of transformers and of torchvision's segmentation."""


def answer_of(output: Any) -> torch.Tensor:
    """The logits where they have a name, else the first tensor of floating point with an axis besides the batch.

    Raises:
        CaptureError: if there is none.

    >>> answer_of({"loss": None, "logits": torch.zeros(2, 3)}).shape, answer_of((torch.ones(2, 4, 8), None)).shape
    (torch.Size([2, 3]), torch.Size([2, 4, 8]))
    """
    named = [output.get(name) if isinstance(output, dict) else getattr(output, name, None) for name in NAMED]
    for leaf in (*named, *pytree.tree_leaves(output)):
        if isinstance(leaf, torch.Tensor) and leaf.is_floating_point() and leaf.ndim > 1:
            return leaf
    got = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    raise CaptureError(
        f"expected a tensor of floating point (batch, ...) with at least two axes in the model's output, got {got}"
    )
