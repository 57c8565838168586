"""Eager PyTorch with hooks: for a model that cannot be captured, the model's own forward runs and its batch shrinks."""

from dataclasses import dataclass, field
from threading import Lock

import torch

from offramp.inputs import Inputs, call
from offramp.model.capture import LogitsOf
from offramp.model.leaving import NobodyLeft, Stop, leaving
from offramp.model.modes import frozen
from offramp.model.multi_exit import MultiExit


@dataclass(frozen=True, eq=False)
class Hooked:
    """Runs the user's model itself; a forward that nobody is left in ends by an exception that stays inside.

    Attributes:
        multi_exit: the backbone and its heads.
        logits_of: picks the logits out of the backbone's output.
        one_at_a_time: hooks are on the model itself, so batches of several threads take turns.
    """

    multi_exit: MultiExit
    logits_of: LogitsOf
    one_at_a_time: Lock = field(default_factory=Lock)

    @classmethod
    def of(cls, multi_exit: MultiExit, logits_of: LogitsOf) -> "Hooked":
        """The executor of a multi-exit model."""
        multi_exit.heads.eval()
        return cls(multi_exit, logits_of)

    def drive(self, inputs: Inputs, stop: Stop) -> torch.Tensor | None:
        """The logits of those who are left at the end."""
        model, names = self.multi_exit.backbone.model, [point.name for point in self.multi_exit.points]
        with self.one_at_a_time, frozen(model), leaving(model, names, stop):
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
        with self.one_at_a_time, frozen(model):
            return self.logits_of(call(model, inputs))
