"""For which sizes of its inputs a captured graph holds, and where in a segment a size can be read off."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import torch
from torch import fx

from offramp.errors import CaptureError
from offramp.inputs import Inputs, Shapes, shapes

Guards = Callable[..., object]
"""Called with a graph's inputs; raises AssertionError where it is the graph of others."""

GUARDS = "_guards_fn"
"""The module in which the exporter puts them."""

LEAST = 2
"""The exporter takes every open size to be at least this, and says nothing where that matters."""

BATCHES = (2, 3, 5, 7, 64, 1000)
"""Batch sizes for which guards are asked; a graph holds for all of them or for none, since any batch may shrink."""

REMEMBERED = 1024
"""Sizes for which the answer is kept."""


class Sizes:
    """The sizes for which a graph holds, whatever the batch."""

    def __init__(self, module: fx.GraphModule, guards: Guards) -> None:
        self._guards = guards
        self._values = [node.meta["val"] for node in module.graph.find_nodes(op="placeholder")]
        self._holds = lru_cache(maxsize=REMEMBERED)(self._asked)

    def allow(self, inputs: Inputs) -> bool:
        """Whether the graph holds for inputs of these sizes; each are looked at once."""
        return self._holds(shapes(inputs))

    def _asked(self, found: Shapes) -> bool:
        if len(found) != len(self._values) or not all(map(_fits, found, self._values)):
            return False
        # a condition that compares batch and length shows where they are the same
        batches = {*BATCHES, *(size for shape in found for size in shape if size >= LEAST)}
        try:
            for batch in batches:
                tensors = zip(found, self._values, strict=True)
                self._guards(*(torch.empty(batch, *size, dtype=v.dtype, device="meta") for size, v in tensors))
        except AssertionError:
            return False
        return True


def _fits(shape: torch.Size, value: torch.Tensor) -> bool:
    """Whether fixed sizes are the same and open ones large enough."""
    known: tuple[Any, ...] = tuple(value.shape[1:])
    return len(shape) == len(known) and all(
        size >= LEAST if isinstance(own, torch.SymInt) else size == own for size, own in zip(shape, known, strict=True)
    )


def taken_off(module: fx.GraphModule) -> Guards:
    """The guards of an exported module, which no longer runs them itself.

    Raises:
        CaptureError: if it has none, so that nobody could say for which inputs it holds.
    """
    for node in module.graph.find_nodes(op="call_module"):
        if node.target == GUARDS:
            guards = module.get_submodule(GUARDS)
            module.graph.erase_node(node)
            delattr(module, GUARDS)
            module.recompile()
            return guards
    raise CaptureError("expected guards in the exported graph, got none; this version of torch does not give them")


def sizes_in(nodes: Iterable[fx.Node]) -> dict[Any, tuple[fx.Node, int]]:
    """Each symbolic size that is an axis of one of `nodes`, and where."""
    found: dict[Any, tuple[fx.Node, int]] = {}
    for node in nodes:
        for axis, size in enumerate(node.meta["val"].shape):
            if isinstance(size, torch.SymInt):
                found.setdefault(size.node.expr, (node, axis))
    return found


def hint(size: Any) -> int:
    """The size in the example."""
    return int(size.node.hint) if isinstance(size, torch.SymInt) else int(size)
