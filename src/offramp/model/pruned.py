"""A smaller network made of a backbone's own blocks: spans between places of equal shape are left out.

Where the feature is the same before and after a block, the block can be skipped, and what remains is a network of the
same family that starts from the backbone's own weights. Distilled without labels it is an exit at the input: cheap
samples never enter the backbone. Or it is the head of an exit further in: it goes on from the feature there, in fewer
blocks than the backbone. It works on any captured model (ResNet stages, ViT, BERT and ConvNeXt blocks).
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import fx, nn

from offramp.errors import CaptureError, InputError
from offramp.heads.head import Head
from offramp.heads.network import Answers, network_head
from offramp.inputs import Inputs, arranged, leaves
from offramp.model.backbone import Backbone, Graph
from offramp.model.capture import copy
from offramp.model.liveness import Cut, cuts
from offramp.model.macs import macs_upto, network_macs
from offramp.model.modes import frozen
from offramp.model.names import ends
from offramp.model.segments import rest
from offramp.model.sizes import hint
from offramp.reading import LogitsOf
from offramp.types import INPUT

COUNTS = 0.5
"""What leads into a row of equal blocks counts as one of them if it costs this share of one."""

Span = tuple[str, str]
"""The names of two places; what lies between them is left out."""


@dataclass(frozen=True)
class _Place:
    """A place where one tensor and side values are all that is still needed."""

    name: str
    cut: Cut
    cost: float

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(map(hint, self.cut.node.meta["val"].shape[1:]))

    @property
    def listed(self) -> bool:
        """Whether it is where an element of a list of modules ends, as the blocks of a stage are."""
        return self.name.rpartition(".")[2].isdigit()

    def followed_by(self, other: "_Place") -> bool:
        """Whether what lies between may be a block: the last one of a row is the last to read the mask, say."""
        return self.shape == other.shape and set(other.cut.side) <= set(self.cut.side)


@dataclass(frozen=True)
class _Row:
    """Neighbouring places of one shape, the blocks between them, and whether a block leads into the first.

    `done` blocks of the row lie before its first place.
    """

    places: tuple[_Place, ...]
    entered: bool
    done: int = 0

    @property
    def price(self) -> float:
        """What a block costs, as a share of the backbone's."""
        return (self.places[-1].cost - self.places[0].cost) / (len(self.places) - 1)

    @property
    def spans(self) -> list[Span]:
        return [(before.name, after.name) for before, after in pairwise(self.places)]

    @property
    def blocks(self) -> int:
        """How many there are, the one that leads in included."""
        return len(self.spans) + self.entered

    def left_out(self, kept: int) -> list[Span]:
        """All blocks but so many, which are evenly spread: the last; the first and the last; and so on."""
        last = self.blocks - 1
        even = {round(index * last / (kept - 1)) for index in range(kept)} if kept > 1 else {last} if kept else set()
        if self.entered and kept == 1:
            even = {0}
        return [span for index, span in enumerate(self.spans, start=int(self.entered)) if index not in even]

    def behind(self, start: _Place | None) -> "_Row | None":
        """What is left of the row behind a place (None: the input); None where it is over."""
        if start is None or start.cost < self.places[0].cost:
            return self
        later = tuple(place for place in self.places if place.cost > start.cost)
        done = len(self.places) - len(later) - 1 + self.entered
        return _Row((start, *later), False, done) if later and start.followed_by(later[0]) else None


def droppable(backbone: Backbone, start: str = INPUT) -> tuple[Span, ...]:
    """All blocks behind an exit point that can be left out, by depth.

    Raises:
        CaptureError: if the model has no graph.
        UnknownNameError: if `start` is no exit point.
        InputError: if more than one tensor is needed behind `start`.
    """
    return tuple(span for row in _rows(backbone, _start(backbone, start)) for span in row.spans)


def spared(
    backbone: Backbone, share: float, start: str = INPUT, blocks: int = 0, most: float = 0.0
) -> tuple[Span, ...]:
    """The blocks behind an exit point to leave out so that the rest costs at most `share` of the backbone.

    Blocks are kept one by one, always in the row that has the fewest, those before `start` counted, and evenly spread
    in it: at two blocks a stage the first and the last of each.

    Args:
        backbone: what blocks are left out of.
        share: MACs of what stays, as a share of the backbone's, at most.
        start: an exit point that one tensor is enough behind, or the input.
        blocks: where fewer are within `share`, as many are kept as `most` allows, up to this number in all.
        most: stands in for `share` there, and where even the smallest network costs more than that.

    Raises:
        InputError: if so small a network cannot be made, with the smallest share that can; or if more than one tensor
            is needed behind `start`.
        CaptureError: if the model has no graph.
        UnknownNameError: if `start` is no exit point.
    """
    before, most = _start(backbone, start), max(share, most)
    rows = _rows(backbone, before)
    kept = [int(row.entered) for row in rows]
    left = 1.0 - (0.0 if before is None else before.cost) - sum(row.price * len(row.spans) for row in rows)
    if not rows or left > most:
        raise InputError(f"expected a share of at least {left:.2f}, which cannot be left out, got {most}")
    while open_rows := [index for index, row in enumerate(rows) if kept[index] < row.blocks]:
        index = min(open_rows, key=lambda row: rows[row].done + kept[row])
        if left + rows[index].price > (share if sum(kept) >= blocks else most) * (1 + 1e-9):
            break
        kept[index], left = kept[index] + 1, left + rows[index].price
    return tuple(span for row, count in zip(rows, kept, strict=True) for span in row.left_out(count))


def _start(backbone: Backbone, name: str) -> _Place | None:
    """The exit point of that name as a place; None: the input."""
    graph, point = _graph(backbone), backbone.point(name)
    if point.name == INPUT:
        return None
    cut = graph.cuts[point.index]
    if cut.side:
        raise InputError(
            f"expected an exit point behind which one tensor is enough, got {name}, which also needs "
            f"{', '.join(point.side_values)}; choose another, or the input"
        )
    return _Place(name, cut, point.depth)


def _rows(backbone: Backbone, start: _Place | None) -> list[_Row]:
    """The rows of the backbone, as far as they lie behind a place."""
    return [left for row in _all_rows(_places(backbone)) if (left := row.behind(start)) is not None]


def _all_rows(places: list[_Place]) -> list[_Row]:
    rows: list[list[_Place]] = []
    for place in places:
        if rows and rows[-1][-1].followed_by(place):
            rows[-1].append(place)
        else:
            rows.append([place])
    found, depth = [], 0.0
    for row in rows:
        blocks = _blocks(row)
        if len(blocks) > 1:
            entered = blocks[0].cost - depth >= COUNTS * _Row(tuple(blocks), False).price
            found.append(_Row(tuple(blocks), entered))
        depth = row[-1].cost
    return found


def _blocks(row: list[_Place]) -> list[_Place]:
    """The places that part the blocks: elements of a list of modules where there are such, and the end of the last.

    What is before the first of them is another one, but not if it lies within a block, as the attention of a BERT does.
    """
    ends = [place for place in row[1:] if place.listed]
    listed = ends if ends and row[0].name.startswith(f"{ends[0].name}.") else [row[0], *ends]
    if len(listed) < 3:
        return row
    left = row[-1].cost - listed[-1].cost  # the last block may be known by the name of all of them
    return [*listed, row[-1]] if left >= COUNTS * _Row(tuple(listed), False).price else listed


def _places(backbone: Backbone) -> list[_Place]:
    """Where a module ends and one tensor is all that is still needed; of places of one cost the first.

    What follows at no cost of its own, such as the norm in front of the next stage, is then no part of the block.
    """
    captured = _graph(backbone).captured
    names, upto = ends(captured, backbone.model), macs_upto(captured)
    total = upto[captured.logits.name]
    found: dict[float, _Place] = {}
    for cut in cuts(captured):
        if cut.node in names and cut.carried == 0:
            cost = upto[cut.node.name] / total
            found.setdefault(cost, _Place(names[cut.node], cut, cost))
    return list(found.values())


class Pruned(nn.Module):
    """A copy of a backbone, from an exit point on, without some of its blocks; returns logits.

    It takes the backbone's inputs, or the feature at the exit point.

    In training mode batch norms use and update the statistics of the batch; dropout, which the captured model has not,
    stays away.
    """

    def __init__(self, backbone: Backbone, left_out: Sequence[Span], start: str = INPUT) -> None:
        """A copy with the backbone's weights.

        Raises:
            UnknownNameError: if `start` is no exit point.
            InputError: if a span cannot be left out, or more than one tensor is needed behind `start`.
            CaptureError: if the model has no graph.
        """
        super().__init__()
        self.left_out, self.start = tuple(left_out), start
        self.example = backbone.example if start == INPUT else _feature(backbone, start)
        self.graph = _without(backbone, self.left_out, _start(backbone, start))
        for parameter in self.graph.parameters():  # the backbone's may be frozen
            parameter.requires_grad_(parameter.is_floating_point())
        self.eval()

    def forward(self, *args: torch.Tensor, **kwargs: torch.Tensor) -> torch.Tensor:
        """The logits of a batch, as the backbone takes it, or of features (B, …)."""
        given: Inputs = kwargs or (args[0] if isinstance(self.example, torch.Tensor) else args)
        logits: torch.Tensor = self.graph(*leaves(arranged(given, self.example)))[0]
        return logits

    @property
    def batch_norms(self) -> list[fx.Node]:
        """Where it has batch norms."""
        return list(self.graph.graph.find_nodes(op="call_function", target=torch.ops.aten.batch_norm.default))

    def train(self, mode: bool = True) -> "Pruned":
        """Batch norms follow the mode."""
        super().train(mode)
        changed = False
        for node in self.batch_norms:
            if node.args[5] is not mode:
                node.args, changed = (*node.args[:5], mode, *node.args[6:]), True
        if changed:
            self.graph.recompile()
        return self


def pruned_head(backbone: Backbone, left_out: Sequence[Span], logits_of: LogitsOf, start: str = INPUT) -> Head:
    """A copy of the backbone, from an exit point on, without some of its blocks, as a head there."""
    network = Pruned(backbone, left_out, start)
    macs = network_macs(network, network.example, logits_of)
    return network_head(Answers(network, network.example, logits_of, macs), backbone.classes)


def _feature(backbone: Backbone, name: str) -> torch.Tensor:
    """The feature at an exit point for the backbone's example."""
    chain = backbone.chain([name])
    with frozen(backbone.model), torch.no_grad():
        return chain.segment(0, leaves(copy(backbone.example)))[0].clone()


def _graph(backbone: Backbone) -> Graph:
    if backbone.graph is None:
        raise CaptureError(
            f"expected a captured model to leave blocks out of, got {type(backbone.model).__name__}, which can only be "
            "left by hooks; give a small model of your own instead"
        )
    return backbone.graph


def _without(backbone: Backbone, spans: Sequence[Span], start: _Place | None) -> fx.GraphModule:
    rows = _rows(backbone, start)
    allowed = {span for row in rows for span in row.spans}
    refused = next((span for span in spans if span not in allowed), None)
    if refused is not None:
        known = ", ".join(f"{before} to {after}" for before, after in sorted(allowed)) or "none"
        raise InputError(f"expected blocks that can be left out ({known}), got {refused[0]} to {refused[1]}")
    node_of = {place.name: place.cut.node for row in rows for place in row.places}
    instead = {node_of[after]: node_of[before] for before, after in spans}
    return deepcopy(rest(_graph(backbone).captured, None if start is None else start.cut, instead))
