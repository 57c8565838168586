"""Convolutions on the whole feature: stacks as in SelfXit's search space and BranchyNet, and GATI's single filter."""

from dataclasses import dataclass

import torch
from torch import nn

from offramp.heads.stem import Shape, drawn


@dataclass(frozen=True)
class Convolutions:
    """Convolutions with ReLUs, then all that is left, flattened; on what `Whole` reduced.

    SelfXit's space has up to two of them with 32 or 64 channels, kernels of 1, 3 or 5 and strides of 1 to 3. Neither
    paper nor code states a padding; half the kernel keeps small maps legal. Along an axis of size 1 kernel and stride
    are 1, so that on tokens they run along the sequence.

    Attributes:
        layers: channels, kernel and stride of each.
    """

    layers: tuple[tuple[int, int, int], ...]

    def build(self, channels_first: Shape, width: int, generator: torch.Generator) -> tuple[nn.Module, int]:
        """The layers, and how many numbers are left."""
        channels, *size = channels_first
        made: list[nn.Module] = [nn.Unflatten(1, channels_first)]
        for after, kernel, stride in self.layers:
            kernels = [kernel if axis > 1 else 1 for axis in size]
            strides = [stride if axis > 1 else 1 for axis in size]
            padding = [axis // 2 for axis in kernels]
            conv = nn.Conv2d(channels, after, tuple(kernels), tuple(strides), tuple(padding), device="meta")  # type: ignore[arg-type]
            made += [drawn(conv, channels * kernels[0] * kernels[1], generator), nn.ReLU()]
            size = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip(size, padding, kernels, strides, strict=True)]
            channels = after
        return nn.Sequential(*made, nn.Flatten()), channels * size[0] * size[1]


@dataclass(frozen=True)
class Filter:
    """GATI's Conv predictor: one filter along the flattened feature, then a ReLU (Balasubramanian et al. 2021).

    Attributes:
        kernel: its length.
        stride: its step.
    """

    kernel: int = 5
    stride: int = 5

    def build(self, channels_first: Shape, width: int, generator: torch.Generator) -> tuple[nn.Module, int]:
        """The filter, and how many numbers it gives."""
        kernel = min(self.kernel, width)
        conv = drawn(nn.Conv1d(1, 1, kernel, self.stride, device="meta"), kernel, generator)
        layers = nn.Sequential(nn.Unflatten(1, (1, width)), conv, nn.ReLU(), nn.Flatten())
        return layers, (width - kernel) // self.stride + 1
