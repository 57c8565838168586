"""What a driver is: something that can run a backbone with stops at some of its points, or uncut."""

from typing import Protocol, runtime_checkable

import torch

from offramp.inputs import Inputs
from offramp.model.leaving import Stop


@runtime_checkable
class Driver(Protocol):
    """Runs a backbone in PyTorch, with stops at the points that it was made for."""

    def drive(self, inputs: Inputs, stop: Stop) -> torch.Tensor | None:
        """The backbone's own logits of those who are left at its end; None if nobody is.

        At each point, by depth, `stop` is called with the number of the point and the feature there, and the batch goes
        on with the rows that it returns (None: all). Where no row is left nothing more is computed.
        """
        ...

    def whole(self, inputs: Inputs) -> torch.Tensor:
        """The backbone's own logits, uncut."""
        ...
