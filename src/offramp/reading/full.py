"""What else a model returns, where it says so by names."""

from typing import Any

import torch

NOT_FULL = ("logits", "loss")
"""Names of what exits imitate, and of what is none of a sample's."""


def entries(output: Any) -> dict[str, torch.Tensor]:
    """The tensors of a plain dict beside its logits, as an embedding; nothing of any other output.

    Outputs of other types (those of transformers) have what their authors chose, such as caches; who wants some of it
    returns a dict.

    >>> list(entries({"logits": torch.zeros(2, 3), "embedding": torch.zeros(2, 8), "loss": None}))
    ['embedding']
    """
    if type(output) is not dict:
        return {}
    return {
        name: value
        for name, value in output.items()
        if isinstance(value, torch.Tensor) and value.ndim > 0 and name not in NOT_FULL
    }
