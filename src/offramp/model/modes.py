"""Borrowing the user's model: every mode and gradient flag is given back, also after an exception."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def frozen(model: nn.Module) -> Iterator[nn.Module]:
    """The model in eval mode and without gradients; each module's own mode is restored on leaving.

    Frozen means more than `requires_grad_(False)`: batch-norm statistics and dropout follow the mode.
    """
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        with torch.no_grad():
            yield model
    finally:
        for module in training:
            module.training = True
