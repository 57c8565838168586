"""Training heads for labels of which a sample may have several: each label is a question of its own."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Num
from torch.nn import functional as F

from offramp.errors import DataError


@dataclass(frozen=True)
class DistilEach:
    """T² KL(backbone ‖ head) of independent labels, both softened by `temperature`: without labels.

    The divergence of independent labels is the sum of theirs, as that of classes sums over the classes; the mean runs
    over samples.
    """

    temperature: float = 2.0
    needs_labels: bool = False

    def loss(
        self,
        logits: Float[torch.Tensor, "batch labels"],
        backbone: Float[torch.Tensor, "batch labels"],
        labels: Num[torch.Tensor, "batch labels"] | None,
    ) -> Float[torch.Tensor, ""]:
        """The mean divergence from the backbone; `labels` are not looked at."""
        head, target = logits / self.temperature, backbone / self.temperature
        has, lacks = target.sigmoid(), (-target).sigmoid()
        yes = has * (F.logsigmoid(target) - F.logsigmoid(head))
        no = lacks * (F.logsigmoid(-target) - F.logsigmoid(-head))
        return (yes + no).sum(dim=1).mean() * self.temperature**2


@dataclass(frozen=True)
class Each:
    """Binary cross-entropy with each label, summed over labels; the mean runs over samples."""

    needs_labels: bool = True

    def loss(
        self,
        logits: Float[torch.Tensor, "batch labels"],
        backbone: Float[torch.Tensor, "batch labels"],
        labels: Num[torch.Tensor, "batch labels"] | None,
    ) -> Float[torch.Tensor, ""]:
        """The mean cross-entropy; `backbone` is not looked at."""
        if labels is None:
            raise DataError("expected labels for the regime each, got none; train with distil instead")
        found = F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="none")
        return found.sum(dim=1).mean()
