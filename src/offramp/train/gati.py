"""GATI's predictors: half the backbone's class, half its softened distribution (Balasubramanian et al. 2021)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch.nn import functional as F

from offramp.train.distil import Distil


@dataclass(frozen=True)
class GatiPredictor:
    """(1 - α) CE(head, class of the backbone) + α τ² KL(backbone ‖ head), both softened by τ.

    SelfXit says that GATI trains with ground truth; the released code takes the classes that the base model predicts,
    and so does this. It averages the divergence over classes, too, which this does not.
    """

    alpha: float = 0.5
    temperature: float = 6.0
    needs_labels: bool = False

    def loss(
        self,
        logits: Float[torch.Tensor, "batch classes"],
        backbone: Float[torch.Tensor, "batch classes"],
        labels: Int[torch.Tensor, " batch"] | None,
    ) -> Float[torch.Tensor, ""]:
        """The mean over samples; `labels` are not looked at."""
        hard = F.cross_entropy(logits, backbone.argmax(dim=1))
        soft = Distil(self.temperature).loss(logits, backbone, None)
        return (1.0 - self.alpha) * hard + self.alpha * soft
