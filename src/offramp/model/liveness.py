"""Live ranges in a captured graph: after which node is one hidden tensor all that the rest needs?

A node is of one of these kinds. *Constant* or *weight*: made from literals, buffers and parameters. *Shape*: made from
sizes; recomputed wherever it is needed, so that no old batch size is baked in. *Side*: made from the inputs without any
weight (an attention mask); may be carried across a cut and shrunk with the batch. *Hidden*: everything else.

A node is a legal cut when every live value beside it has the batch as first axis. Best is a cut where it is the only
live hidden tensor; where there is none, a few others (the skips of a U-Net) may be carried along like side values.
"""

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

import torch
from torch import fx

from offramp.model.capture import Capture
from offramp.model.sizes import sizes_in

MAX_SIDE_VALUES = 4
"""More than this and carrying the inputs along is no longer a side matter: the branches have not met yet."""

MAX_CARRIED = 4
"""More hidden tensors than this are not carried across a cut."""


class Kind(Enum):
    """What a node's value is made from."""

    CONSTANT = "constant"
    WEIGHT = "weight"  # a constant in which a parameter takes part
    SHAPE = "shape"
    SIDE = "side"
    HIDDEN = "hidden"


@dataclass(frozen=True)
class Cut:
    """A legal cut.

    Attributes:
        node: the deepest hidden tensor, which a head reads.
        side: what else is alive there and travels along: side values, and `carried` other hidden tensors.
        carried: how many of `side` are hidden.
        entered: whether all inputs but masks have met a weight before it: none meets its first one behind it, and no
            numbers of floating point travel along raw.
    """

    node: fx.Node
    side: tuple[fx.Node, ...]
    carried: int = 0
    entered: bool = True


def kinds(captured: Capture) -> dict[fx.Node, Kind]:
    """The kind of every node but the output."""
    found: dict[fx.Node, Kind] = {}
    weighed: set[fx.Node] = set()
    for node in captured.graph_module.graph.nodes:
        if node.op == "placeholder":
            found[node] = Kind.SIDE
        elif node.op == "get_attr":
            value = operator.attrgetter(str(node.target))(captured.graph_module)
            found[node] = Kind.WEIGHT if isinstance(value, torch.nn.Parameter) else Kind.CONSTANT
            weighed |= {node} if found[node] is Kind.WEIGHT else set()
        elif node.op != "output":
            found[node] = _kind(node, [found[source] for source in node.all_input_nodes])
            if not weighed.isdisjoint(
                node.all_input_nodes
            ):  # a look into a table at positions is a shape with a weight
                found[node] = Kind.HIDDEN if found[node] is Kind.SIDE else found[node]
                weighed.add(node)
    return found


def _kind(node: fx.Node, sources: list[Kind]) -> Kind:
    if isinstance(node.meta.get("val"), torch.SymInt | torch.SymBool | torch.SymFloat | int):
        return Kind.SHAPE
    if Kind.HIDDEN in sources:
        return Kind.HIDDEN
    if Kind.SIDE in sources:
        return Kind.SIDE
    if Kind.SHAPE in sources:
        return Kind.SHAPE
    return Kind.WEIGHT if Kind.WEIGHT in sources else Kind.CONSTANT


def cuts(captured: Capture) -> list[Cut]:
    """All legal cuts, in the order of the graph, the logits excluded."""
    kind = kinds(captured)
    position = {node: index for index, node in enumerate(captured.graph_module.graph.nodes)}
    last = {node: _last_use(node, kind, position, captured.ends) for node in kind}
    entries = [node for node in kind if kind[node] is Kind.HIDDEN and last[node] >= 0 and _is_entry(node, kind)]
    entered = max((position[node] for node in entries), default=-1)
    raw = _raw(captured, kind)
    alive: set[fx.Node] = set()
    found = []
    for node in kind:
        if kind[node] not in (Kind.SIDE, Kind.HIDDEN):
            continue
        now = position[node]
        alive = {other for other in alive if last[other] > now}
        if last[node] > now:
            alive.add(node)
        if node not in alive or kind[node] is not Kind.HIDDEN or node is captured.logits:
            continue
        side = tuple(sorted(alive - {node}, key=position.__getitem__))
        carried = sum(kind[other] is Kind.HIDDEN for other in side)
        few = carried <= MAX_CARRIED and len(side) - carried <= MAX_SIDE_VALUES
        if few and all(_batch_first(value, captured.batch) for value in (node, *side)):
            found.append(Cut(node, side, carried, now >= entered and raw.isdisjoint(side)))
    return found


def _is_entry(node: fx.Node, kind: dict[fx.Node, Kind]) -> bool:
    return all(kind[source] is not Kind.HIDDEN for source in node.all_input_nodes)


def _raw(captured: Capture, kind: dict[fx.Node, Kind]) -> set[fx.Node]:
    """Side values made of an input of floating point."""
    found = {node for node in captured.placeholders if node.meta["val"].is_floating_point()}
    for node in kind:
        if kind[node] is Kind.SIDE and not found.isdisjoint(node.all_input_nodes):
            found.add(node)
    return found


def _last_use(node: fx.Node, kind: dict[fx.Node, Kind], position: dict[fx.Node, int], ends: tuple[fx.Node, ...]) -> int:
    """Position of the last node that needs the *data* of `node`; reading its size does not count."""
    uses = [position[user] for user in node.users if kind.get(user) in (Kind.SIDE, Kind.HIDDEN)]
    if node in ends:
        uses.append(len(position))
    return max(uses, default=-1)


def _batch_first(node: fx.Node, batch: Any) -> bool:
    value = node.meta.get("val")
    if not isinstance(value, torch.Tensor) or value.ndim == 0:
        return False
    first: Any = value.shape[0]
    return isinstance(first, torch.SymInt) and bool(first.node.expr == batch)


def forgets(captured: Capture, at: Sequence[Cut]) -> bool:
    """Whether behind one of the cuts a size is needed that is neither an axis of what travels nor made of such.

    A convolution halves the height of a picture: what is behind it can tell the half, and not the whole.
    """
    kind = kinds(captured)
    position = {node: index for index, node in enumerate(captured.graph_module.graph.nodes)}
    data = {node for node in kind if kind[node] in (Kind.SIDE, Kind.HIDDEN)}
    shapes = [node for node in kind if kind[node] is Kind.SHAPE and not data.isdisjoint(node.users)]
    last = {node: max(position[user] for user in node.users if user in data) for node in shapes}

    def needed(cut: Cut) -> Iterator[fx.Node]:
        return (node for node in shapes if last[node] > position[cut.node])

    def known(cut: Cut) -> Callable[[fx.Node], bool]:
        received = (cut.node, *cut.side)
        sizes = sizes_in(received)

        @cache
        def is_known(node: fx.Node) -> bool:
            if node in data:
                return node in received or position[node] > position[cut.node]
            value = node.meta.get("val")
            if isinstance(value, torch.SymInt) and value.node.expr in sizes:
                return True
            return all(map(is_known, node.all_input_nodes))

        return is_known

    return not all(all(map(known(cut), needed(cut))) for cut in at)
