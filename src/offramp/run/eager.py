"""Eager PyTorch: the exported segments as they are, on the user's own parameters."""

from dataclasses import dataclass

import torch

from offramp.inputs import Inputs, call, leaves
from offramp.model.capture import LogitsOf
from offramp.model.leaving import Stop
from offramp.model.modes import frozen
from offramp.model.multi_exit import MultiExit
from offramp.model.resized import Chains
from offramp.model.turns import running
from offramp.run.segmented import through


@dataclass(frozen=True, eq=False)
class Eager:
    """Runs segments and heads as eager PyTorch modules.

    Attributes:
        multi_exit: the backbone and its heads.
        chains: the backbone cut at the points in use, for inputs of any size.
        logits_of: picks the logits out of the backbone's output.
    """

    multi_exit: MultiExit
    chains: Chains
    logits_of: LogitsOf

    @classmethod
    def of(cls, multi_exit: MultiExit, logits_of: LogitsOf) -> "Eager":
        """The executor of a multi-exit model, cut at the points its exits use."""
        multi_exit.heads.eval()
        names = [point.name for point in multi_exit.points]
        return cls(multi_exit, Chains(multi_exit.backbone, names, logits_of), logits_of)

    def drive(self, inputs: Inputs, stop: Stop) -> torch.Tensor | None:
        """The logits of those who are left at the end."""
        inputs = self.chains.arranged(inputs)
        chain = self.chains.fit_for(inputs)
        return through(chain.segment, len(chain.segments), leaves(inputs), stop)

    def head(self, index: int, feature: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """The raw logits of exit `index`."""
        logits: torch.Tensor = self.multi_exit.head(index)(feature, mask)
        return logits

    def whole(self, inputs: Inputs) -> torch.Tensor:
        """The user's model itself, in eval mode."""
        model = self.multi_exit.backbone.model
        with running(model), frozen(model):
            return self.logits_of(call(model, inputs))
