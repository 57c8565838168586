"""What a gate is: it turns the output of an exit into a score, higher = safer to stop."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float

State = tuple[torch.Tensor, ...]
"""What a gate remembers of earlier exits; every first axis is the batch, so that it shrinks with it."""


@runtime_checkable
class Gate(Protocol):
    """Scores outputs. The same object serves replay and runtime, so the two cannot disagree."""

    def init(self, samples: int) -> State:
        """The state before the first exit."""
        ...

    def step(
        self, output: Float[torch.Tensor, "batch classes"], state: State
    ) -> tuple[Float[torch.Tensor, " batch"], State]:
        """The score of each sample and the state for the next exit. `output`: calibrated logits."""
        ...
