"""Maximum softmax probability: on calibrated logits, the estimated probability that the predicted class is right."""

from dataclasses import dataclass

import torch
from jaxtyping import Float

from offramp.gates.gate import State


@dataclass(frozen=True)
class MaxProb:
    """Score = max softmax probability, in (0, 1]."""

    def init(self, samples: int) -> State:
        """No state."""
        return ()

    def step(
        self, output: Float[torch.Tensor, "batch classes"], state: State
    ) -> tuple[Float[torch.Tensor, " batch"], State]:
        """The largest probability of each sample."""
        return output.softmax(dim=1).amax(dim=1), state
