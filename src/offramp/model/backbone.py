"""A model and the places where it can be left."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from offramp.errors import CaptureError, InputError, UnknownNameError
from offramp.inputs import Inputs, leaves
from offramp.model.capture import Capture
from offramp.model.liveness import Cut
from offramp.model.segments import Chain, passing, split
from offramp.types import INPUT, ExitPoint

DEEPEST = 0.98
"""Points behind this share of the cost are not offered: nothing is left to save (SelfXit section 3.1, rule 2)."""

SAME = 1e-4
"""Largest difference, relative to the largest value, at which two ways of computing a tensor count as one."""


@dataclass(frozen=True)
class FullSpec:
    """A tensor that the model returns beside what exits imitate.

    Attributes:
        name: as the model calls it.
        shape: without the batch axis; -1 stands for any size.
        dtype: NumPy's name of its type.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, eq=False)
class Backbone:
    """A model with all its legal exit points.

    Attributes:
        model: the user's model.
        example: inputs it was analysed with, at a batch of two.
        points: the exit points, by depth.
        classes: how many numbers the answer to a sample is (its second axis).
        macs: MACs of the whole model per sample.
        graph: what cuts it into segments; None where it can only be left by hooks.
        full: what it returns besides, for samples that reach its end; not known of a model that is left by hooks.
    """

    model: nn.Module
    example: Inputs
    points: tuple[ExitPoint, ...]
    classes: int
    macs: float
    graph: "Graph | None"
    full: tuple[FullSpec, ...] = ()

    @property
    def entry(self) -> ExitPoint:
        """The place before the backbone, which is always legal; its shape is that of the first input."""
        return ExitPoint(INPUT, -1, tuple(leaves(self.example)[0].shape[1:]), 0.0)

    @property
    def full_names(self) -> tuple[str, ...]:
        """Names of what the model returns besides."""
        return tuple(spec.name for spec in self.full)

    def point(self, name: str) -> ExitPoint:
        """The exit point of that name.

        Raises:
            UnknownNameError: listing the points there are.
        """
        for point in (self.entry, *self.points):
            if point.name == name:
                return point
        raise UnknownNameError.among("exit point", name, (point.name for point in self.points))

    def chain(self, names: Sequence[str]) -> Chain:
        """The model cut at the given points (by depth, each once).

        Raises:
            CaptureError: if the model has no graph.
        """
        indices = [self.point(name).index for name in names]
        if indices != sorted(set(indices)):
            raise InputError(f"expected exit points by depth, each once, got {', '.join(names)}")
        if self.graph is None:
            raise CaptureError(f"expected a captured model to cut, got {type(self.model).__name__}, left by hooks only")
        captured, inner = self.graph.captured, [self.graph.cuts[index] for index in indices if index >= 0]
        chain = split(captured, inner)
        return (
            replace(chain, segments=(passing(captured), *chain.segments), entry=True)
            if len(inner) < len(indices)
            else chain
        )


@dataclass(frozen=True, eq=False)
class Graph:
    """A captured model, and the cut that belongs to each of its exit points."""

    captured: Capture
    cuts: tuple[Cut, ...]


def same(one: torch.Tensor | None, other: torch.Tensor | None) -> bool:
    """Whether both are one tensor. Not bit for bit: modules have fused paths that the exporter unfolds."""
    if one is None or other is None or one.shape != other.shape or not one.is_floating_point():
        return False
    return bool((one - other).abs().max() <= SAME * one.abs().max())
