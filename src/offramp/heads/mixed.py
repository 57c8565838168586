"""SDN's pooling: a learned mixture of maximum and mean (Kaya et al., ICML 2019)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import nn

from offramp.heads.stem import Shape


class MixedPooling(nn.Module):
    """a · maximum + (1 - a) · mean, from the two side by side; a is one number, free to leave [0, 1]."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.rand(1, generator=generator))

    def forward(self, both: Float[torch.Tensor, "batch both"]) -> Float[torch.Tensor, "batch pooled"]:
        """(batch, maxima then means) to (batch, mixture)."""
        largest, mean = both.chunk(2, dim=1)
        return torch.lerp(mean, largest, self.share)


@dataclass(frozen=True)
class Mixed:
    """Mixes what `Extremes` reduced; a starts uniform in [0, 1]."""

    def build(self, channels_first: Shape, width: int, generator: torch.Generator) -> tuple[nn.Module, int]:
        """The mixture, and half the numbers."""
        return MixedPooling(generator), width // 2
