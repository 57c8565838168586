"""Patience: leave once several exits in a row have named the same class (PABEE; Zhou et al., NeurIPS 2020)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float


@dataclass(frozen=True)
class Patience:
    """Score = the number of the class; the rule `patience` counts how often it stays the same.

    The threshold t is a count: a sample leaves once t + 1 exits in a row have named one class. The released code asks
    it of a whole batch, and so runs one sample at a time; here it is asked of each sample, over the exits that are on.
    """

    rule: str = "patience"

    def score(self, output: Float[torch.Tensor, "batch classes"], exit_index: int) -> Float[torch.Tensor, " batch"]:
        """The class with the largest logit."""
        return output.argmax(dim=1).to(output.dtype)

    def macs(self, classes: int) -> float:
        """A look at the logits."""
        return 0.0
