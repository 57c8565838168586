"""What a training regime is: a loss per exit, and whether it needs labels."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Num


@runtime_checkable
class Regime(Protocol):
    """The loss of one exit on a batch. The backbone is frozen, so exits do not disturb each other."""

    @property
    def needs_labels(self) -> bool:
        """Whether `loss` reads labels."""
        ...

    def loss(
        self,
        logits: Float[torch.Tensor, "batch classes"],
        backbone: Float[torch.Tensor, "batch classes"],
        labels: Num[torch.Tensor, "batch ..."] | None,
    ) -> Float[torch.Tensor, ""]:
        """The mean loss of an exit's `logits`, given the backbone's own."""
        ...
