"""Maximum softmax probability: on calibrated logits, the estimated probability that the predicted class is right."""

from dataclasses import dataclass

import torch
from jaxtyping import Float


@dataclass(frozen=True)
class MaxProb:
    """Score = max softmax probability, in (0, 1]."""

    rule: str = "direct"

    def score(self, output: Float[torch.Tensor, "batch classes"], exit_index: int) -> Float[torch.Tensor, " batch"]:
        """The largest probability of each sample."""
        return output.softmax(dim=1).amax(dim=1)

    def macs(self, classes: int) -> float:
        """A look at the logits."""
        return 0.0
