"""Eager PyTorch: the exported segments as they are, on the user's own parameters."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import nn

from offramp.inputs import Inputs, call, device_of, leaves, on
from offramp.model.backbone import Backbone
from offramp.model.leaving import Stop
from offramp.model.modes import frozen
from offramp.model.resized import Chains
from offramp.model.turns import running
from offramp.reading import LogitsOf, full_of
from offramp.run.buffers import Buffers
from offramp.run.driver import End
from offramp.run.segmented import through


@dataclass(frozen=True, eq=False)
class Eager:
    """Runs segments as eager PyTorch modules.

    Attributes:
        model: the user's.
        chains: it, cut at the stops, for inputs of any size.
        logits_of: picks the logits out of its output.
        buffers: memory for what is left of a batch.
    """

    model: nn.Module
    chains: Chains
    logits_of: LogitsOf
    buffers: Buffers = field(default_factory=Buffers)

    @classmethod
    def of(cls, backbone: Backbone, names: Sequence[str], logits_of: LogitsOf) -> "Eager":
        """The driver of a captured backbone with stops at the points of these names (by depth, each once)."""
        return cls(backbone.model, Chains(backbone, names, logits_of), logits_of)

    def drive(self, inputs: Inputs, stop: Stop) -> End | None:
        """What is said of those who are left at the end."""
        inputs = on(self.chains.arranged(inputs), device_of(self.model))
        chain = self.chains.fit_for(inputs)
        return through(chain, leaves(inputs), stop, self.buffers)

    def whole(self, inputs: Inputs) -> End:
        """The user's model itself, in eval mode."""
        with running(self.model), frozen(self.model):
            output = call(self.model, inputs)
            full = full_of(self.logits_of, output)
            return End(self.logits_of(output), {name: full[name] for name in self.chains.full})
