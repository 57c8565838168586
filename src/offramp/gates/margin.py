"""Margin between the two largest probabilities."""

from dataclasses import dataclass

import torch
from jaxtyping import Float

from offramp.gates.gate import State


@dataclass(frozen=True)
class Margin:
    """Score = largest minus second largest softmax probability, in [0, 1]."""

    def init(self, samples: int) -> State:
        """No state."""
        return ()

    def step(
        self, output: Float[torch.Tensor, "batch classes"], state: State
    ) -> tuple[Float[torch.Tensor, " batch"], State]:
        """The margin of each sample."""
        top = output.softmax(dim=1).topk(2, dim=1).values
        return top[:, 0] - top[:, 1], state
