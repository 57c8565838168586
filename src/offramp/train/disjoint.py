"""Training with labels on a frozen backbone (the disjoint regime of Kubaty et al. 2025; SDN's IC-only training)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch.nn import functional as F

from offramp.errors import DataError


@dataclass(frozen=True)
class Disjoint:
    """Cross-entropy with the labels."""

    needs_labels: bool = True

    def loss(
        self,
        logits: Float[torch.Tensor, "batch classes"],
        backbone: Float[torch.Tensor, "batch classes"],
        labels: Int[torch.Tensor, " batch"] | None,
    ) -> Float[torch.Tensor, ""]:
        """The mean cross-entropy; `backbone` is not looked at."""
        if labels is None:
            raise DataError("expected labels for the disjoint regime, got none; train with distil instead")
        return F.cross_entropy(logits, labels)
