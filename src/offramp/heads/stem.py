"""Layers with weights before the linear ones: pooling with a learned mixture, convolutions."""

from math import prod
from typing import Protocol, runtime_checkable

import torch
from torch import nn

Shape = tuple[int, ...]


@runtime_checkable
class Stem(Protocol):
    """Builds what stands between a reduction and the linear layers of a head."""

    def build(self, channels_first: Shape, width: int, generator: torch.Generator) -> tuple[nn.Module, int]:
        """The layers, and how many numbers they give for each sample.

        Args:
            channels_first: shape of the feature as a map `(C, H, W)`; tokens are `(D, T, 1)`, a vector `(D, 1, 1)`.
            width: how many numbers the reduction gives.
            generator: draws the initial weights.
        """
        ...


def channels_first(shape: Shape, turned: bool) -> Shape:
    """The shape of a feature as a map.

    >>> channels_first((8, 6, 5), False), channels_first((6, 6, 8), True), channels_first((9, 16), False)
    ((8, 6, 5), (8, 6, 6), (16, 9, 1))
    """
    if len(shape) == 3:
        return (shape[2], shape[0], shape[1]) if turned else shape
    if len(shape) == 2:
        return (shape[0], shape[1], 1) if turned else (shape[1], shape[0], 1)
    return (shape[0], prod(shape[1:]), 1)


def drawn(layer: nn.Module, inputs: int, generator: torch.Generator) -> nn.Module:
    """A layer with torch's default initialisation for so many inputs, drawn from `generator`.

    Args:
        layer: on the device `meta`.
        inputs: how many numbers make one of its outputs.
        generator: instead of torch's global state.
    """
    made = layer.to_empty(device="cpu")
    for parameter in made.parameters():
        nn.init.uniform_(parameter, -(inputs**-0.5), inputs**-0.5, generator=generator)
    return made
