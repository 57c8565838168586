"""A captured backbone cut into segments that share its parameters."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import pairwise
from typing import Any

import torch
from torch import fx

from offramp.errors import CaptureError
from offramp.model.capture import Capture
from offramp.model.liveness import Cut, Kind, kinds
from offramp.model.sizes import sizes_in

State = tuple[torch.Tensor, ...]
"""What travels between segments: the hidden tensor first, then its side values; every first axis is the batch."""


@dataclass(frozen=True, eq=False)
class Chain:
    """The backbone as consecutive segments: `segment(0)` takes the flat inputs, the last returns logits and all else.

    Attributes:
        segments: they share the backbone's parameters.
        entry: whether the first of them hands the inputs on, so that there is a place before the backbone.
        full: names of what the last returns behind the logits.
    """

    segments: tuple[fx.GraphModule, ...]
    entry: bool = False
    full: tuple[str, ...] = ()

    def segment(self, index: int, state: State) -> State:
        """The state after segment `index`, which may work on the given state in place as the model itself does."""
        return self._functions[index](*state)

    def feature(self, index: int, state: State) -> torch.Tensor | State:
        """What heads see after segment `index`: the hidden tensor; before the backbone all tensors, if several."""
        return state if self.entry and index == 0 and len(state) > 1 else state[0]

    @cached_property
    def _functions(self) -> list[Callable[..., State]]:
        return [function(segment) for segment in self.segments]


def function(segment: fx.GraphModule) -> Callable[..., State]:
    """The segment as a function that holds its parameters, which are not looked up by name then.

    In a deep net of small layers the look-ups, five for a convolution and its batch norm, cost a tenth of the time.
    """
    graph, values, held = fx.Graph(), dict[fx.Node, fx.Node](), list[Any]()
    for node in segment.graph.find_nodes(op="placeholder"):
        values[node] = graph.node_copy(node)
    for node in segment.graph.find_nodes(op="get_attr"):
        values[node] = graph.placeholder(f"held_{node.name}")
        held.append(reduce(getattr, node.target.split("."), segment))
    for node in segment.graph.nodes:
        if node not in values:
            values[node] = graph.node_copy(node, values.__getitem__)
    run = fx.GraphModule({}, graph).forward
    return lambda *state: run(*state, *held)


def split(captured: Capture, at: Sequence[Cut]) -> Chain:
    """The captured backbone, cut at the given places (in the order of the graph)."""
    kind = kinds(captured)
    bounds = [None, *at, None]
    segments = tuple(_Builder(captured, kind, start, end, captured.ends).build() for start, end in pairwise(bounds))
    return Chain(segments, full=tuple(name for name, _ in captured.full))


def rest(captured: Capture, start: Cut | None, instead: Mapping[fx.Node, fx.Node]) -> fx.GraphModule:
    """What leads from a cut (None: the inputs) to the logits, where the keys of `instead` are what the values are."""
    return _Builder(captured, kinds(captured), start, None, (captured.logits,), instead).build()


def passing(captured: Capture) -> fx.GraphModule:
    """A segment that hands the flat inputs on."""
    graph = fx.Graph()
    graph.output(tuple(graph.placeholder(node.name) for node in captured.placeholders))
    return fx.GraphModule({}, graph)


class _Builder:
    """Builds the segment between two cuts (`None`: the model's own start or end)."""

    def __init__(
        self,
        captured: Capture,
        kind: dict[fx.Node, Kind],
        start: Cut | None,
        end: Cut | None,
        ends: Sequence[fx.Node],
        instead: Mapping[fx.Node, fx.Node] | None = None,
    ) -> None:
        self.captured, self.kind, self.instead = captured, kind, instead or {}
        self.wanted = tuple(ends) if end is None else (end.node, *end.side)
        self.graph = fx.Graph()
        received = captured.placeholders if start is None else [start.node, *start.side]
        self.values = {node: self.graph.placeholder(node.name) for node in received}
        self.sizes = sizes_in(received)

    def build(self) -> fx.GraphModule:
        for node in self._between(self.wanted):
            known = self.instead.get(node)
            self.values[node] = self.graph.node_copy(node, self._value) if known is None else self._value(known)
        self.graph.output(tuple(self._value(node) for node in self.wanted))
        return fx.GraphModule(self.captured.graph_module, self.graph)

    def _between(self, wanted: Sequence[fx.Node]) -> list[fx.Node]:
        """The data nodes that lead from what the segment receives to `wanted`, in the order of the graph.

        In-place operations are among them where their result is used by name; `capture` sees to it that it is.
        """
        needed: set[fx.Node] = set()
        stack = [node for node in wanted if node not in self.values]
        while stack:
            node = stack.pop()
            if node in needed:
                continue
            needed.add(node)
            before = [self.instead[node]] if node in self.instead else node.all_input_nodes
            sources = [source for source in before if self._is_data(source)]
            stack.extend(source for source in sources if source not in self.values)
        return [node for node in self.captured.graph_module.graph.nodes if node in needed]

    def _is_data(self, node: fx.Node) -> bool:
        return self.kind[node] in (Kind.SIDE, Kind.HIDDEN)

    def _value(self, node: fx.Node) -> fx.Node:
        """The segment's copy of a node; constants and shapes are made anew inside the segment."""
        if node not in self.values:
            if self._is_data(node):
                raise CaptureError(f"cannot cut: {node.name} is needed on both sides; choose another point")
            self.values[node] = self._size(node) or self.graph.node_copy(node, self._value)
        return self.values[node]

    def _size(self, node: fx.Node) -> fx.Node | None:
        """A size, read off what this segment receives; None where `node` is none of its sizes."""
        value = node.meta.get("val")
        if not isinstance(value, torch.SymInt) or value.node.expr not in self.sizes:
            return None
        source, axis = self.sizes[value.node.expr]
        return self.graph.call_function(torch.ops.aten.sym_size.int, (self.values[source], axis))
