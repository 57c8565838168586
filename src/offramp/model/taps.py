"""Forward hooks on the user's own modules that last exactly one `with` block."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import nn
from torch.utils import _pytree as pytree

from offramp.errors import CaptureError, UnknownNameError

T = TypeVar("T")


def first_tensor(output: Any) -> torch.Tensor:
    """The first tensor in a module's output: the hidden state where a module returns a tuple or a dataclass."""
    for leaf in pytree.tree_leaves(output):
        if isinstance(leaf, torch.Tensor):
            return leaf
    raise CaptureError(f"expected a module that returns a tensor, got {type(output).__name__}; choose another point")


@contextmanager
def tapped(model: nn.Module, names: Sequence[str], keep: Callable[[str, torch.Tensor], T]) -> Iterator[dict[str, T]]:
    """A dict that holds, after each forward of `model`, what `keep` made of the output of each module in `names`.

    Args:
        model: any module; its hooks are as before when the block ends, whatever happened inside.
        names: dotted module paths.
        keep: called with a name and the feature there. It runs inside the hook, before any later in-place operation
            of the model can change the feature.

    Raises:
        UnknownNameError: if a name is no module of the model.
    """
    modules = dict(model.named_modules())
    for name in names:
        if name not in modules:
            raise UnknownNameError(f"expected a module of the model as exit point, got {name!r}; see offramp inspect")
    kept: dict[str, T] = {}

    def hook_for(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_module: nn.Module, _args: Any, output: Any) -> None:
            kept[name] = keep(name, first_tensor(output))

        return hook

    handles = [modules[name].register_forward_hook(hook_for(name)) for name in names]
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()
