"""Entropy of the softmax distribution (BranchyNet), turned round so that higher is safer."""

from dataclasses import dataclass

import torch
from jaxtyping import Float

from offramp.gates.gate import State


@dataclass(frozen=True)
class Entropy:
    """Score = minus the entropy in nats, in [-ln C, 0] (Teerapittayanon et al. 2016)."""

    def init(self, samples: int) -> State:
        """No state."""
        return ()

    def step(
        self, output: Float[torch.Tensor, "batch classes"], state: State
    ) -> tuple[Float[torch.Tensor, " batch"], State]:
        """Minus the entropy of each sample."""
        log_p = output.log_softmax(dim=1)
        return (log_p.exp() * log_p).sum(dim=1), state
