"""Margin between the two largest probabilities."""

from dataclasses import dataclass

import torch
from jaxtyping import Float


@dataclass(frozen=True)
class Margin:
    """Score = largest minus second largest softmax probability, in [0, 1]."""

    rule: str = "direct"

    def score(self, output: Float[torch.Tensor, "batch classes"], exit_index: int) -> Float[torch.Tensor, " batch"]:
        """The margin of each sample."""
        top = output.softmax(dim=1).topk(2, dim=1).values
        return top[:, 0] - top[:, 1]

    def macs(self, classes: int) -> float:
        """A look at the logits."""
        return 0.0
