"""Entropy of the softmax distribution (BranchyNet), turned round so that higher is safer."""

from dataclasses import dataclass

import torch
from jaxtyping import Float


@dataclass(frozen=True)
class Entropy:
    """Score = minus the entropy in nats, in [-ln C, 0] (Teerapittayanon et al. 2016)."""

    rule: str = "direct"

    def score(self, output: Float[torch.Tensor, "batch classes"], exit_index: int) -> Float[torch.Tensor, " batch"]:
        """Minus the entropy of each sample."""
        log_p = output.log_softmax(dim=1)
        return (log_p.exp() * log_p).sum(dim=1)

    def macs(self, classes: int) -> float:
        """A look at the logits."""
        return 0.0
