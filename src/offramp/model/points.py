"""Where a model can be left."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import fx, nn

from offramp.errors import CaptureError, InputError, UnknownNameError
from offramp.inputs import Inputs, call, leaves
from offramp.model.capture import Capture, LogitsOf, capture, copy
from offramp.model.liveness import Cut, cuts
from offramp.model.macs import macs_upto
from offramp.model.modes import frozen
from offramp.model.names import ends
from offramp.model.segments import Chain, split
from offramp.model.taps import tapped
from offramp.tasks.classification import Classification
from offramp.types import ExitPoint

DEEPEST = 0.98
"""Points behind this share of the cost are not offered: nothing is left to save (SelfXit section 3.1, rule 2)."""

SAME = 1e-4
"""Largest difference, relative to the largest value, at which two ways of computing a feature count as one."""


@dataclass(frozen=True, eq=False)
class Backbone:
    """A captured model with all its legal exit points.

    Attributes:
        model: the user's model.
        captured: its graph.
        points: the exit points, by depth.
        cuts: the cut that belongs to each point.
        macs: MACs of the whole model per sample.
    """

    model: nn.Module
    captured: Capture
    points: tuple[ExitPoint, ...]
    cuts: tuple[Cut, ...]
    macs: float

    @property
    def classes(self) -> int:
        """How many numbers the logits of a sample are."""
        return int(self.captured.logits.meta["val"].shape[1])

    def point(self, name: str) -> ExitPoint:
        """The exit point of that name.

        Raises:
            UnknownNameError: listing the points there are.
        """
        for point in self.points:
            if point.name == name:
                return point
        raise UnknownNameError.among("exit point", name, (point.name for point in self.points))

    def chain(self, names: Sequence[str]) -> Chain:
        """The model cut at the given points (by depth, each once)."""
        indices = [self.point(name).index for name in names]
        if indices != sorted(set(indices)):
            raise InputError(f"expected exit points by depth, each once, got {', '.join(names)}")
        return split(self.captured, [self.cuts[index] for index in indices])


def analyse(model: nn.Module, example_inputs: Inputs, logits_of: LogitsOf) -> Backbone:
    """The model, captured, with every exit point at which hooks and segments see the same tensor.

    Args:
        model: any module; left as it was found.
        example_inputs: inputs such as the model will get.
        logits_of: picks the logits out of the model's output.

    Raises:
        CaptureError: if the model cannot be exported, or can be left nowhere.
    """
    captured = capture(model, example_inputs, logits_of)
    upto = macs_upto(captured)
    total = upto[captured.logits.name]
    name_of = ends(captured, model)
    legal = [cut for cut in cuts(captured) if cut.node in name_of]
    legal = [cut for cut in legal if 0 < upto[cut.node.name] <= DEEPEST * total]
    legal = _verified(model, captured, _last_of_each_cost(legal, upto), name_of)
    if not legal:
        raise CaptureError(
            f"expected a place where one tensor is all that {type(model).__name__} still needs, found none; "
            "the model cannot be left early"
        )
    _refuse_other_answers(model, captured, legal, logits_of)
    points = tuple(
        ExitPoint(
            name=name_of[cut.node],
            index=index,
            feature_shape=tuple(int(size) for size in cut.node.meta["val"].shape[1:]),
            depth=upto[cut.node.name] / total,
            side_values=tuple(side.name for side in cut.side),
        )
        for index, cut in enumerate(legal)
    )
    return Backbone(model, captured, points, tuple(legal), total)


def find_exit_points(
    model: nn.Module, example_inputs: Inputs, logits_of: LogitsOf | None = None
) -> tuple[ExitPoint, ...]:
    """All places where the model can be left, by depth. See `analyse`; by default the model is a classifier.

    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> [(point.name, round(point.depth, 2)) for point in find_exit_points(net, torch.randn(2, 4))]
    [('1', 0.27), ('3', 0.8)]
    """
    return analyse(model, example_inputs, logits_of or Classification().logits_of).points


def spread(points: Sequence[ExitPoint], most: int) -> tuple[ExitPoint, ...]:
    """At most `most` points, spread evenly over the cost; of equally near ones the smallest feature.

    >>> line = [ExitPoint(str(i), i, (8,), i / 10) for i in range(1, 10)]
    >>> [point.name for point in spread(line, 3)]
    ['2', '5', '7']
    """
    if len(points) <= most:
        return tuple(points)
    wanted = [(k + 1) / (most + 1) for k in range(most)]
    size = {point.name: torch.Size(point.feature_shape).numel() for point in points}
    chosen = {min(points, key=lambda p: (round(abs(p.depth - w), 9), size[p.name])) for w in wanted}
    return tuple(sorted(chosen, key=lambda point: point.index))


def _last_of_each_cost(legal: list[Cut], upto: dict[str, float]) -> list[Cut]:
    """A layer and its trailing norm, activation or pooling cost the same MACs: only the last of them is offered."""
    last = {upto[cut.node.name]: cut for cut in legal}
    return list(last.values())


def _verified(model: nn.Module, captured: Capture, legal: list[Cut], name_of: dict[fx.Node, str]) -> list[Cut]:
    """The cuts whose tensor in the graph equals what a hook sees on the module of that name."""
    keep = _Keep(captured.graph_module, {cut.node for cut in legal})
    with (
        frozen(model),
        tapped(model, [name_of[cut.node] for cut in legal], keep=lambda _, f: f.clone()) as seen,
    ):
        call(model, copy(captured.example))
        keep.run(*leaves(copy(captured.example)), enable_io_processing=False)
        return [cut for cut in legal if _same(seen.get(name_of[cut.node]), keep.kept.get(cut.node))]


def _refuse_other_answers(model: nn.Module, captured: Capture, legal: list[Cut], logits_of: LogitsOf) -> None:
    """Runs the model cut everywhere: what the exporter or the cutting lost would show here."""
    with frozen(model):
        expected = logits_of(call(model, copy(captured.example)))
        state = leaves(copy(captured.example))
        for segment in split(captured, legal).segments:
            state = segment(*state)
    if not _same(expected, state[0]):
        raise CaptureError(
            f"expected the captured {type(model).__name__} to answer as the model does, got other logits; write the "
            "in-place operations in its forward out of place, and keep randomness and the inputs' values out of its "
            "control flow"
        )


def _same(hooked: torch.Tensor | None, cut: torch.Tensor | None) -> bool:
    """Whether hook and graph see one tensor. Not bit for bit: modules have fused paths that the exporter unfolds."""
    if hooked is None or cut is None or hooked.shape != cut.shape or not hooked.is_floating_point():
        return False
    return bool((hooked - cut).abs().max() <= SAME * hooked.abs().max())


class _Keep(fx.Interpreter):
    """Runs a graph and keeps copies of the values of some nodes."""

    def __init__(self, module: fx.GraphModule, wanted: set[fx.Node]) -> None:
        super().__init__(module)
        self.wanted = wanted
        self.kept: dict[fx.Node, torch.Tensor] = {}

    def run_node(self, n: fx.Node) -> object:
        value = super().run_node(n)
        if n in self.wanted:
            self.kept[n] = value.clone()
        return value
