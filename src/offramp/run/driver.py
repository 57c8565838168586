"""What a driver is: something that can run a backbone with stops at some of its points, or uncut."""

from typing import NamedTuple, Protocol, runtime_checkable

import torch

from offramp.inputs import Inputs
from offramp.model.leaving import Stop


class End(NamedTuple):
    """What a backbone returns.

    Attributes:
        logits: what exits imitate, `(B, classes)`.
        full: all else, by name.
    """

    logits: torch.Tensor
    full: dict[str, torch.Tensor]


@runtime_checkable
class Driver(Protocol):
    """Runs a backbone in PyTorch, with stops at the points that it was made for."""

    def drive(self, inputs: Inputs, stop: Stop) -> End | None:
        """What the backbone itself says of those who are left at its end; None if nobody is.

        At each point, by depth, `stop` is called with the number of the point and the feature there, and the batch goes
        on with the rows that it returns (None: all). Where no row is left nothing more is computed.
        """
        ...

    def whole(self, inputs: Inputs) -> End:
        """What the backbone itself says, uncut."""
        ...
