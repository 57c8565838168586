"""What an executor is: something that can run the backbone with stops, a head, or the whole backbone."""

from typing import Protocol, runtime_checkable

import torch

from offramp.inputs import Inputs
from offramp.model.leaving import Stop


@runtime_checkable
class Executor(Protocol):
    """Runs a multi-exit model on one back end."""

    def drive(self, inputs: Inputs, stop: Stop) -> torch.Tensor | None:
        """The backbone's own logits of those who are left at its end; None if nobody is.

        At each exit point in use, by depth, `stop` is called with the number of the point and the feature there, and
        the batch goes on with the rows that it returns (None: all). Where no row is left nothing more is computed.
        """
        ...

    def head(self, index: int, feature: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """The raw logits of exit `index` on a feature; `mask` (B, T) is 0 where a token is padding."""
        ...

    def whole(self, inputs: Inputs) -> torch.Tensor:
        """The backbone's own logits, uncut."""
        ...
