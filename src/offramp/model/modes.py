"""Borrowing the user's model: every mode and gradient flag is given back, also after an exception."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

_lock = Lock()
_borrowed: WeakKeyDictionary[nn.Module, tuple[int, list[nn.Module]]] = WeakKeyDictionary()
"""Per borrowed model how many borrowers it has, and which modules to give back in training mode: a model that several
threads run at once must stay in eval mode until the last of them is done."""


@contextmanager
def frozen(model: nn.Module) -> Iterator[nn.Module]:
    """The model in eval mode and without gradients; each module's own mode is restored on leaving.

    Frozen means more than `requires_grad_(False)`: batch-norm statistics and dropout follow the mode.
    """
    _borrow(model)
    try:
        with torch.no_grad():
            yield model
    finally:
        _give_back(model)


def _borrow(model: nn.Module) -> None:
    with _lock:
        borrowers, training = _borrowed.get(model, (0, []))
        found = [module for module in model.modules() if module.training]
        for module in found:
            module.training = False
        _borrowed[model] = borrowers + 1, training + found


def _give_back(model: nn.Module) -> None:
    with _lock:
        borrowers, training = _borrowed.pop(model)
        if borrowers > 1:
            _borrowed[model] = borrowers - 1, training
            return
        for module in training:
            module.training = True


@contextmanager
def restored(model: nn.Module) -> Iterator[nn.Module]:
    """The model, whose modules have at the end the attributes they had, and these the same contents.

    Some note in a forward how long its inputs were, or keep a table they made; of a forward that is traced by the
    exporter those would be symbols and tensors without numbers.
    """
    before = {module: dict(vars(module)) for module in model.modules()}
    contents = [(value, copy(value)) for kept in before.values() for value in _containers(kept)]
    try:
        yield model
    finally:
        for module, kept in before.items():
            now = vars(module)
            for name in now.keys() - kept.keys():
                del now[name]
            now.update({name: value for name, value in kept.items() if name != "training"})
        for value, content in contents:
            value.clear()
            value.extend(content) if isinstance(value, list) else value.update(content)


def _containers(attributes: dict[str, Any]) -> Iterator[Any]:
    """Dicts, lists and sets of a module's own; those with an underscore belong to torch."""
    for name, value in attributes.items():
        if not name.startswith("_") and isinstance(value, dict | list | set):
            yield value
