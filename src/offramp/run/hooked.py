"""Eager PyTorch with hooks: for a model that cannot be captured, the model's own forward runs and its batch shrinks."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock, RLock
from weakref import WeakKeyDictionary

from torch import nn

from offramp.errors import InputError
from offramp.inputs import Inputs, call, select, whole_of
from offramp.model.backbone import Backbone
from offramp.model.leaving import NobodyLeft, Stop, leaving
from offramp.model.modes import frozen
from offramp.reading import LogitsOf, full_of
from offramp.run.driver import End
from offramp.types import INPUT

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
        model: the user's.
        names: the points where it stops, by depth.
        logits_of: picks the logits out of its output.
    """

    model: nn.Module
    names: tuple[str, ...]
    logits_of: LogitsOf

    @classmethod
    def of(cls, backbone: Backbone, names: Sequence[str], logits_of: LogitsOf) -> "Hooked":
        """The driver of a backbone with stops at the points of these names (by depth, each once)."""
        return cls(backbone.model, tuple(names), logits_of)

    def drive(self, inputs: Inputs, stop: Stop) -> End | None:
        """What is said of those who are left at the end.

        Raises:
            InputError: if it is called from within `stop`, where the hooks of the batch under way would fire again.
        """
        names, entry = self.names, self.names[:1] == (INPUT,)
        with _turn(self.model), frozen(self.model):
            if entry:
                rows = stop(0, whole_of(inputs))
                if rows is not None and len(rows) == 0:
                    return None
                names, inputs = names[1:], inputs if rows is None else select(inputs, rows)
            with leaving(self.model, names, lambda place, feature: stop(place + entry, feature)):
                try:
                    return self._end(inputs)
                except NobodyLeft:
                    return None

    def whole(self, inputs: Inputs) -> End:
        """The user's model itself, in eval mode."""
        with _turn(self.model), frozen(self.model):
            return self._end(inputs)

    def _end(self, inputs: Inputs) -> End:
        output = call(self.model, inputs)
        logits = self.logits_of(output)
        full = full_of(self.logits_of, output)
        return End(logits, {name: value for name, value in full.items() if len(value) == len(logits)})


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
