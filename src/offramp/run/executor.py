"""What an executor is: something that can run a segment, a head, or the whole backbone."""

from typing import Protocol, runtime_checkable

import torch

from offramp.inputs import Inputs
from offramp.model.segments import State


@runtime_checkable
class Executor(Protocol):
    """Runs the pieces of a multi-exit model on one back end."""

    def start(self, inputs: Inputs) -> State:
        """The state before the first segment."""
        ...

    def segment(self, index: int, state: State) -> State:
        """The state after segment `index`; the last segment's state holds the logits."""
        ...

    def head(self, index: int, feature: torch.Tensor) -> torch.Tensor:
        """The raw logits of exit `index` on a feature."""
        ...

    def whole(self, inputs: Inputs) -> torch.Tensor:
        """The backbone's own logits, uncut."""
        ...
