"""What later exits make of what earlier ones said (Zero Time Waste; Wołczyk et al., NeurIPS 2021)."""

import torch
from jaxtyping import Float
from torch import nn

from offramp.heads.stem import drawn

Earlier = tuple[tuple[int, torch.Tensor], ...]
"""The log-probabilities (B, C) of the exits that these samples have passed, by depth, with the exits' numbers.

An exit that is off is not among them; where heads do not hear each other nothing is.
"""


class Cascade(nn.Module):
    """What a head's last layer makes of the log-probabilities of the exit before.

    The previous answer stands beside the numbers that the last linear layer sees, behind a layer normalisation (their
    appendix): W [x, n(p)] = W₁ x + W₂ n(p). This is W₂ n(p). n has no parameters, which W₂ and the bias would absorb,
    so zeros add nothing; and it does not see by what logits and log-probabilities differ.
    """

    def __init__(self, classes: int, generator: torch.Generator) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(classes, elementwise_affine=False)
        self.linear = drawn(nn.Linear(classes, classes, bias=False, device="meta"), classes, generator)

    def forward(self, previous: Float[torch.Tensor, "batch classes"]) -> Float[torch.Tensor, "batch classes"]:
        """What is added to the logits; no gradient reaches the exit before."""
        added: torch.Tensor = self.linear(self.norm(previous.detach()))
        return added


class Ensemble(nn.Module):
    """The answer of an exit as a weighted geometric mean of what it and the exits before said.

    q ∝ b ∏ p_j^w_j, as logits: ln b + Σ w_j ln p_j. It is fitted when the heads are trained; until then it is the exit
    alone.

    Attributes:
        weight: w_j of exit j, itself the last; not negative.
        bias: ln b of each class.
    """

    weight: Float[torch.Tensor, " exits"]
    bias: Float[torch.Tensor, " classes"]

    def __init__(self, exits: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.eye(exits)[-1].clone())
        self.register_buffer("bias", torch.zeros(classes))

    def forward(self, earlier: Earlier) -> Float[torch.Tensor, "batch classes"]:
        """Logits, from the log-probabilities of the exits that are on, this one the last."""
        found = self.bias
        for number, said in earlier:
            found = found + self.weight[number] * said
        return found


def rows_of(earlier: Earlier, rows: torch.Tensor) -> Earlier:
    """What was said of these rows."""
    return tuple((number, said.index_select(0, rows)) for number, said in earlier)
