"""Forward hooks on the user's own modules that last exactly one `with` block."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import get_ident
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


def called(name: str) -> tuple[str, int]:
    """The module path and the number of the call, from 0, that an exit point is named after.

    >>> called("encoder.layer.3"), called("encoder.shared@2")
    (('encoder.layer.3', 0), ('encoder.shared', 2))
    """
    path, mark, count = name.rpartition("@")
    return (path, int(count)) if mark and count.isdigit() else (name, 0)


def call_name(path: str, call: int) -> str:
    """The name of a call, which `called` takes apart again.

    >>> call_name("encoder.shared", 0), call_name("encoder.shared", 2)
    ('encoder.shared', 'encoder.shared@2')
    """
    return f"{path}@{call}" if call else path


@contextmanager
def hooked(model: nn.Module, names: Sequence[str], at: Callable[[str, Any], Any]) -> Iterator[None]:
    """Within the block `at` is called with a name and the output of that module's call, in every forward of `model`.

    What `at` returns takes the place of the output; None leaves it. Forwards of other threads are not seen. All hooks
    are gone when the block ends, whatever happened inside.

    Raises:
        UnknownNameError: if a name is no module of the model.
    """
    modules = dict(model.named_modules())
    wanted: dict[str, dict[int, str]] = {}
    for name in names:
        path, call = called(name)
        if path not in modules:
            raise UnknownNameError(f"expected a module of the model as exit point, got {name!r}; see offramp inspect")
        wanted.setdefault(path, {})[call] = name
    calls: Counter[str] = Counter()
    mine = get_ident()

    def begin(_module: nn.Module, _args: Any) -> None:
        if get_ident() == mine:
            calls.clear()

    def hook_for(path: str) -> Callable[[nn.Module, Any, Any], Any]:
        def hook(_module: nn.Module, _args: Any, output: Any) -> Any:
            if get_ident() != mine:
                return None
            name = wanted[path].get(calls[path])
            calls[path] += 1
            return None if name is None else at(name, output)

        return hook

    handles = [modules[path].register_forward_hook(hook_for(path)) for path in wanted]
    handles.append(model.register_forward_pre_hook(begin))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def tapped(model: nn.Module, names: Sequence[str], keep: Callable[[str, torch.Tensor], T]) -> Iterator[dict[str, T]]:
    """A dict that holds, after each forward of `model`, what `keep` made of the output of each module in `names`.

    Args:
        model: any module; its hooks are as before when the block ends, whatever happened inside.
        names: dotted module paths; `path@1` for the second call of a module in one forward.
        keep: called with a name and the feature there. It runs inside the hook, before any later in-place operation
            of the model can change the feature.

    Raises:
        UnknownNameError: if a name is no module of the model.
    """
    kept: dict[str, T] = {}

    def at(name: str, output: Any) -> None:
        kept[name] = keep(name, first_tensor(output))

    with hooked(model, names, at):
        yield kept
