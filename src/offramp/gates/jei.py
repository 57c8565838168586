"""JEI-DNN's gate: four numbers about how unsure an exit is, a linear layer and a sigmoid (Regol et al., ICLR 2024)."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from offramp.gates.learned import weights_of

STATISTICS = 4
"""Numbers that the gate sees."""


@dataclass(frozen=True)
class Jei:
    """Score = g_l, the marginal mass of leaving at l; the rule `accumulate` makes 2 g_l + S_{l-1} of it.

    A threshold of 1 is the paper's rule (leave where the conditional probability reaches one half); other thresholds
    move along the trade-off without training anew.

    Attributes:
        weights: per exit, four weights and the bias; none: not fitted.
    """

    weights: tuple[tuple[float, ...], ...] = ()
    rule: str = "accumulate"

    def score(self, output: Float[torch.Tensor, "batch classes"], exit_index: int) -> Float[torch.Tensor, " batch"]:
        """G of each sample; of the backbone itself the largest probability."""
        if self.weights and exit_index == len(self.weights):
            return output.softmax(dim=1).amax(dim=1)
        found = output.new_tensor(weights_of(self.weights, exit_index, STATISTICS + 1, "JEI"))
        return (statistics(output) @ found[:-1] + found[-1]).sigmoid()

    def macs(self, classes: int) -> float:
        """9 C + 6, as the authors count: maximum C, margin C + 1, entropy 2 C, powered entropy 5 C, linear 5."""
        return 9.0 * classes + 6.0


def statistics(output: Float[torch.Tensor, "batch classes"]) -> Float[torch.Tensor, "batch 4"]:
    """Largest probability, entropy, margin, and the entropy of p² / sum p², from logits.

    Entropies are in nats over ln C, so that all four are in [0, 1]; the released code leaves them in nats, which only
    scales a weight.
    """
    log_p = output.log_softmax(dim=1)
    top = log_p.exp().topk(2, dim=1).values
    return torch.stack(
        [top[:, 0], _entropy(log_p), top[:, 0] - top[:, 1], _entropy((2.0 * output).log_softmax(dim=1))], 1
    )


def _entropy(log_p: Float[torch.Tensor, "batch classes"]) -> Float[torch.Tensor, " batch"]:
    return -(log_p.exp() * log_p).sum(dim=1) / float(np.log(log_p.shape[1]))
