"""Training heads for values: each says a mean and the logarithm of a standard deviation."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Num
from torch.nn import functional as F

from offramp.errors import DataError

LEAST, MOST = -8.0, 4.0
"""Between which the logarithm of a spread counts, softly: a head that is sure beyond reason would else lose infinitely
much by one sample. Targets are standardised, so that 0 is the spread of who knows nothing."""


@dataclass(frozen=True)
class DistilValues:
    """Negative log likelihood of the backbone's values under the head's normal distribution: without labels."""

    needs_labels: bool = False

    def targets(
        self, backbone: Float[torch.Tensor, "batch outputs"], labels: Num[torch.Tensor, "batch values"] | None
    ) -> Num[torch.Tensor, "batch values"]:
        """The backbone's values."""
        return backbone[:, : backbone.shape[1] // 2]

    def loss(
        self,
        logits: Float[torch.Tensor, "batch outputs"],
        backbone: Float[torch.Tensor, "batch outputs"],
        labels: Num[torch.Tensor, "batch values"] | None,
    ) -> Float[torch.Tensor, ""]:
        """The mean over samples, in nats, summed over values; `labels` are not looked at."""
        return likelihood(logits, self.targets(backbone, None))


@dataclass(frozen=True)
class Values:
    """The same of the labels."""

    needs_labels: bool = True

    def targets(
        self, backbone: Float[torch.Tensor, "batch outputs"], labels: Num[torch.Tensor, "batch values"] | None
    ) -> Num[torch.Tensor, "batch values"]:
        """The labels.

        Raises:
            DataError: if there are none.
        """
        if labels is None:
            raise DataError("expected labels for the regime values, got none; train with distil instead")
        return labels

    def loss(
        self,
        logits: Float[torch.Tensor, "batch outputs"],
        backbone: Float[torch.Tensor, "batch outputs"],
        labels: Num[torch.Tensor, "batch values"] | None,
    ) -> Float[torch.Tensor, ""]:
        """The mean over samples, in nats, summed over values; `backbone` is not looked at."""
        return likelihood(logits, self.targets(backbone, labels))


def likelihood(
    output: Float[torch.Tensor, "batch outputs"], target: Num[torch.Tensor, "batch values"]
) -> Float[torch.Tensor, ""]:
    """Mean of -log N(target; value, spread²) without its constant, in nats, with the spread between two bounds."""
    count = output.shape[1] // 2
    said = output[:, count:]
    spread = LEAST + F.softplus(said - LEAST) - F.softplus(said - MOST)
    away = (target.to(output.dtype) - output[:, :count]) * (-spread).exp()
    return (0.5 * away**2 + spread).sum(dim=1).mean()
