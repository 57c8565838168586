"""Training without labels: each head imitates the backbone's own output (SelfXit, section 3)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch.nn import functional as F


@dataclass(frozen=True)
class Distil:
    """T² KL(backbone ‖ head), both softened by `temperature`.

    SelfXit states no temperature (T = 1); T = 2 lets the heads see which wrong classes the backbone finds likely
    (Hinton et al. 2015), and T² keeps the size of the gradient. The sum runs over classes and the mean over samples;
    the released code of SelfXit also divides by the number of classes.
    """

    temperature: float = 2.0
    needs_labels: bool = False

    def loss(
        self,
        logits: Float[torch.Tensor, "batch classes"],
        backbone: Float[torch.Tensor, "batch classes"],
        labels: Int[torch.Tensor, " batch"] | None,
    ) -> Float[torch.Tensor, ""]:
        """The mean divergence from the backbone; `labels` are not looked at."""
        head = F.log_softmax(logits / self.temperature, dim=1)
        target = F.log_softmax(backbone / self.temperature, dim=1)
        return F.kl_div(head, target, reduction="batchmean", log_target=True) * self.temperature**2
