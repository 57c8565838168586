"""Turns on a user's model: many may run it at once, and one may capture it while nobody does."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, RLock
from weakref import WeakKeyDictionary

from torch import nn

_exporter = RLock()
"""The exporter changes state of the whole process: one capture at a time, of any model."""

_changed = Condition()
_running: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()
"""How many run a model; -1 while it is captured."""


@contextmanager
def running(model: nn.Module) -> Iterator[None]:
    """Within the block the model is not captured; others may run it, too."""
    with _changed:
        _changed.wait_for(lambda: _running.get(model, 0) >= 0)
        _running[model] = _running.get(model, 0) + 1
    try:
        yield
    finally:
        with _changed:
            _running[model] -= 1
            _changed.notify_all()


@contextmanager
def capturing(model: nn.Module) -> Iterator[None]:
    """Within the block nobody else runs or captures the model through offramp, and no other model is captured."""
    with _exporter:
        with _changed:
            _changed.wait_for(lambda: _running.get(model, 0) == 0)
            _running[model] = -1
        try:
            yield
        finally:
            with _changed:
                _running[model] = 0
                _changed.notify_all()
