"""Eager PyTorch with hooks: for a model that cannot be captured, the model's own forward runs and its batch shrinks."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock, RLock
from weakref import WeakKeyDictionary

import torch
from torch import nn

from offramp.errors import InputError
from offramp.inputs import Inputs, call
from offramp.model.capture import LogitsOf
from offramp.model.leaving import NobodyLeft, Stop, leaving
from offramp.model.modes import frozen
from offramp.model.multi_exit import MultiExit

_lock = Lock()
_turns: WeakKeyDictionary[nn.Module, "_Turn"] = WeakKeyDictionary()
"""Hooks sit on the user's model, which several executors may share: batches on one model take turns."""


class _Turn:
    """Who may run a model."""

    def __init__(self) -> None:
        self.lock, self.taken = RLock(), False


@dataclass(frozen=True, eq=False)
class Hooked:
    """Runs the user's model itself; a forward that nobody is left in ends by an exception that stays inside.

    Attributes:
        multi_exit: the backbone and its heads.
        logits_of: picks the logits out of the backbone's output.
    """

    multi_exit: MultiExit
    logits_of: LogitsOf

    @classmethod
    def of(cls, multi_exit: MultiExit, logits_of: LogitsOf) -> "Hooked":
        """The executor of a multi-exit model."""
        multi_exit.heads.eval()
        return cls(multi_exit, logits_of)

    def drive(self, inputs: Inputs, stop: Stop) -> torch.Tensor | None:
        """The logits of those who are left at the end.

        Raises:
            InputError: if it is called from within `stop`, where the hooks of the batch under way would fire again.
        """
        model, names = self.multi_exit.backbone.model, [point.name for point in self.multi_exit.points]
        with _turn(model), frozen(model), leaving(model, names, stop):
            try:
                return self.logits_of(call(model, inputs))
            except NobodyLeft:
                return None

    def head(self, index: int, feature: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """The raw logits of exit `index`."""
        logits: torch.Tensor = self.multi_exit.head(index)(feature, mask)
        return logits

    def whole(self, inputs: Inputs) -> torch.Tensor:
        """The user's model itself, in eval mode."""
        model = self.multi_exit.backbone.model
        with _turn(model), frozen(model):
            return self.logits_of(call(model, inputs))


@contextmanager
def _turn(model: nn.Module) -> Iterator[None]:
    with _lock:
        turn = _turns.setdefault(model, _Turn())
    with turn.lock:
        if turn.taken:
            raise InputError(
                "expected no call of the model while it answers a batch, got one from on_resolved; note the answers "
                "there, and call it afterwards"
            )
        turn.taken = True
        try:
            yield
        finally:
            turn.taken = False
