"""What a head looks at: parameter-free reductions of a feature, so that they can be cached once for all heads.

A feature may be a map `(B, C, H, W)`, tokens `(B, T, D)` or a vector `(B, D)`; `turned` ones are maps `(B, H, W, C)`
and sequences `(B, D, T)`.
"""

from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard, runtime_checkable

import torch
from jaxtyping import Float
from torch.nn import functional as F

TURNED = "t"
"""Ends the name of a reduction of features whose channels are where they usually are not."""

At = Any
"""What a head sees: the feature; before the backbone the tensors that it takes, in order, one alone not in a tuple."""

LARGE = 16
"""Cells of a grid that are averaged from so many rows and columns on are averaged row by row first."""

Mask = torch.Tensor | None
"""Per sample and token `(B, T)` 0 where there is padding; None: no padding is known of."""


@runtime_checkable
class Reduction(Protocol):
    """Turns a feature into one vector per sample, without parameters."""

    @property
    def turned(self) -> bool:
        """Whether the channels of its features are not where they usually are; see `is_turned`."""
        ...

    @property
    def name(self) -> str:
        """Names the reduction in caches and manifests."""
        ...

    def __call__(
        self, feature: Float[torch.Tensor, "batch ..."], mask: Mask = None
    ) -> Float[torch.Tensor, "batch reduced"]:
        """The vector of each sample; where `mask` is 0 a token is padding and does not count."""
        ...


@dataclass(frozen=True)
class Grid:
    """A map averaged over a `size` x `size` grid; tokens as the first (class) token and the mean; a vector as it is.

    Padding is left out of the mean.

    Where things are matters to a shallow head: on ResNet-56 a 4x4 grid agrees with the backbone on 77 % of the images
    after a third of the blocks, a global average on 50 %.
    """

    size: int = 4
    turned: bool = False

    @property
    def name(self) -> str:
        """`grid4` for a 4x4 grid."""
        return f"grid{self.size}{TURNED * self.turned}"

    def __call__(
        self, feature: Float[torch.Tensor, "batch ..."], mask: Mask = None
    ) -> Float[torch.Tensor, "batch reduced"]:
        """The grid, flattened."""
        feature = usual(feature, self.turned)
        if feature.ndim == 3:
            return torch.cat([feature[:, 0], mean_of(feature, mask)], dim=1)
        if feature.ndim != 4:
            return feature.flatten(2).mean(dim=2) if feature.ndim > 4 else feature
        return cell_means(feature, min(self.size, feature.shape[2]), min(self.size, feature.shape[3])).flatten(1)


@dataclass(frozen=True)
class Global:
    """The average of a feature over everything but batch, channels and padding."""

    turned: bool = False

    @property
    def name(self) -> str:
        """`global`."""
        return f"global{TURNED * self.turned}"

    def __call__(
        self, feature: Float[torch.Tensor, "batch ..."], mask: Mask = None
    ) -> Float[torch.Tensor, "batch reduced"]:
        """The average."""
        feature = usual(feature, self.turned)
        if feature.ndim == 3:
            return mean_of(feature, mask)
        return feature.mean(dim=tuple(range(2, feature.ndim))) if feature.ndim > 2 else feature


@dataclass(frozen=True)
class Attend:
    """Tokens as the first token, the mean, and what the first attends to; other features as `Grid` has them.

    The attention has no parameters, so that its result can be cached: each token weighs softmax(t · t₀ / √D) (scaled
    dot products, Vaswani et al. 2017), with the first token as the query and padding left out.
    """

    size: int = 4
    turned: bool = False

    @property
    def name(self) -> str:
        """`attend4` for maps on a 4x4 grid."""
        return f"attend{self.size}{TURNED * self.turned}"

    def __call__(
        self, feature: Float[torch.Tensor, "batch ..."], mask: Mask = None
    ) -> Float[torch.Tensor, "batch reduced"]:
        """First token, mean and attention side by side."""
        feature = usual(feature, self.turned)
        rest = Grid(self.size)(feature, mask)
        if feature.ndim != 3:
            return rest
        match = torch.einsum("btd,bd->bt", feature, feature[:, 0]) / feature.shape[2] ** 0.5
        if fits(mask, feature):
            match = match.masked_fill(mask == 0, torch.finfo(match.dtype).min)
        return torch.cat([rest, torch.einsum("bt,btd->bd", match.softmax(dim=1), feature)], dim=1)


@dataclass(frozen=True)
class Extremes:
    """Maxima, then means, of the cells of a `size` x `size` grid, which SDN's pooling mixes (Kaya et al. 2019).

    Where a map has no more cells than the grid both are the map itself, as SDN flattens small maps. Of tokens the
    largest and the mean are taken, padding left out; a vector is both.
    """

    size: int = 4
    turned: bool = False

    @property
    def name(self) -> str:
        """`extremes4` for a 4x4 grid."""
        return f"extremes{self.size}{TURNED * self.turned}"

    def __call__(
        self, feature: Float[torch.Tensor, "batch ..."], mask: Mask = None
    ) -> Float[torch.Tensor, "batch reduced"]:
        """Both, flattened, side by side."""
        feature = usual(feature, self.turned)
        if feature.ndim == 4:
            cells = min(self.size, feature.shape[2]), min(self.size, feature.shape[3])
            largest, mean = F.adaptive_max_pool2d(feature, cells), cell_means(feature, *cells)
            return torch.cat([largest.flatten(1), mean.flatten(1)], dim=1)
        if feature.ndim == 3:
            hidden = feature
            if fits(mask, feature):
                hidden = feature.masked_fill(mask[:, :, None] == 0, torch.finfo(feature.dtype).min)
            return torch.cat([hidden.amax(dim=1), mean_of(feature, mask)], dim=1)
        flat = feature.flatten(2) if feature.ndim > 4 else feature[:, :, None]
        return torch.cat([flat.amax(dim=2), flat.mean(dim=2)], dim=1)


@dataclass(frozen=True)
class Whole:
    """Every number of a feature, channels first; `most` averages it down to so many numbers.

    It ties a head to one size of inputs. SelfXit's published heads and GATI's predictors look at it; with `most` =
    4096 it is GATI's Pool, an adaptive average along the flattened feature.

    Attributes:
        most: how many numbers are left at most; 0: all.
    """

    most: int = 0
    turned: bool = False

    @property
    def name(self) -> str:
        """`whole`, or `whole4096` with at most so many numbers."""
        return f"whole{self.most or ''}{TURNED * self.turned}"

    def __call__(
        self, feature: Float[torch.Tensor, "batch ..."], mask: Mask = None
    ) -> Float[torch.Tensor, "batch reduced"]:
        """The feature, flattened."""
        feature = usual(feature, self.turned)
        flat = (feature.transpose(1, 2) if feature.ndim == 3 else feature).flatten(1)
        if not 0 < self.most < flat.shape[1]:
            return flat
        return F.adaptive_avg_pool1d(flat[:, None], self.most)[:, 0]


def cell_means(
    maps: Float[torch.Tensor, "batch channels rows columns"], height: int, width: int
) -> Float[torch.Tensor, "batch channels height width"]:
    """Means over the cells of a grid, as adaptive pooling has them.

    Large cells that divide the map evenly are averaged along rows, then along columns: back ends pool windows of any
    size number by number, which takes ONNX Runtime many times as long on the first maps of a network.
    """
    batch, channels, rows, columns = maps.shape
    tall, wide = rows // height, columns // width
    if min(tall, wide) < LARGE or tall * height != rows or wide * width != columns:
        return F.adaptive_avg_pool2d(maps, (height, width))
    by_row = maps.reshape(batch, channels * height, tall, columns).mean(dim=2)
    return by_row.reshape(batch, channels, height, width, wide).mean(dim=4)


def mean_of(tokens: Float[torch.Tensor, "batch tokens width"], mask: Mask) -> Float[torch.Tensor, "batch width"]:
    """The mean token, without padding where the mask belongs to these tokens."""
    if mask is None or not fits(mask, tokens):
        return tokens.mean(dim=1)
    weight = mask.to(tokens.dtype)
    return torch.einsum("bt,btd->bd", weight, tokens) / weight.sum(dim=1, keepdim=True).clamp_min(1.0)


def fits(mask: Mask, tokens: Float[torch.Tensor, "batch tokens width"]) -> TypeGuard[torch.Tensor]:
    """Whether the mask is one of these tokens; models that merge tokens have fewer of them later on."""
    return mask is not None and mask.shape == tokens.shape[:2]


def is_turned(shape: tuple[int, ...], tokens: int | None = None) -> bool:
    """Whether the channels of a feature are not where they usually are: last in a map, first in a sequence.

    It is told from the sizes where a model is captured, once, since at another resolution they may say otherwise.

    Args:
        shape: of the feature, without batch axis. In a map channels are last where the first two sizes agree and the
            last two do not.
        tokens: length of the sequences that the model was given. In a sequence channels are first where the second
            size is that length and the first is not.

    >>> is_turned((56, 56, 96)), is_turned((64, 16), tokens=16), is_turned((16, 64), tokens=16)
    (True, True, False)
    """
    if len(shape) == 3:
        return shape[0] == shape[1] != shape[2]
    return len(shape) == 2 and tokens is not None and shape[1] == tokens != shape[0]


def usual(feature: Float[torch.Tensor, "batch ..."], turned: bool) -> Float[torch.Tensor, "batch ..."]:
    """The feature with its channels first in a map, and last in a sequence."""
    if not turned:
        return feature
    return feature.permute(0, 3, 1, 2) if feature.ndim == 4 else feature.transpose(1, 2)
