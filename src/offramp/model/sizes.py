"""For which sizes of its inputs a captured graph holds, and where in a segment a size can be read off."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from offramp.inputs import Inputs, Shapes, leaves, shapes

Guards = Callable[..., object]
"""Called with a graph's inputs; raises AssertionError where it is the graph of others."""


@dataclass(frozen=True, eq=False)
class Sizes:
    """The sizes that the exporter's guards allow.

    Attributes:
        guards: those of the exporter.
    """

    guards: Guards
    _answers: dict[Shapes, bool] = field(default_factory=dict)

    def allow(self, inputs: Inputs) -> bool:
        """Whether the graph holds for inputs of these sizes, whatever their batch; each are looked at once."""
        found = shapes(inputs)
        if found not in self._answers:
            # a graph traced with two samples holds for one, too, though its guards would not have it
            some = [
                torch.empty(2, *size, dtype=t.dtype, device="meta")
                for t, size in zip(leaves(inputs), found, strict=True)
            ]
            try:
                self.guards(*some)
                self._answers[found] = True
            except (AssertionError, IndexError):
                self._answers[found] = False
        return self._answers[found]


def taken_off(module: fx.GraphModule) -> Guards:
    """The guards of an exported module, which no longer runs them itself."""
    for node in module.graph.find_nodes(op="call_module"):
        guards = module.get_submodule(str(node.target))
        module.graph.erase_node(node)
        delattr(module, str(node.target))
        module.recompile()
        return guards
    return lambda *_: None


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
