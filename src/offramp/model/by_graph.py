"""Exit points of a model that can be captured: legal cuts of its graph, each verified against a hook."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise

import torch
from torch import fx, nn

from offramp.errors import CaptureError
from offramp.inputs import Inputs, batch_size, call, leaves, select
from offramp.model.backbone import DEEPEST, Backbone, FullSpec, Graph, same
from offramp.model.capture import Capture, capture, copy
from offramp.model.liveness import Cut, cuts, forgets
from offramp.model.macs import macs_upto
from offramp.model.modes import frozen, restored
from offramp.model.names import ends
from offramp.model.segments import split
from offramp.model.sizes import hint
from offramp.model.taps import tapped
from offramp.reading import LogitsOf
from offramp.types import INPUT, ExitPoint

GAP = 1 / 3
"""Where more than this share of the cost lies between places at which one tensor is enough, places that need several
hidden tensors are offered too."""


def by_graph(
    model: nn.Module, example_inputs: Inputs, logits_of: LogitsOf, names: Sequence[str] | None = None
) -> Backbone:
    """The model, captured, with every exit point at which hooks and segments see the same tensor.

    The lengths of inputs `(B, T)` stay open where that costs no exit point.

    Args:
        model: any module; left as it was found.
        example_inputs: inputs such as the model will get.
        logits_of: picks the logits out of the model's output.
        names: the points wanted, where they are known; default all that are worth an exit.

    Raises:
        CaptureError: if the model cannot be exported, or its graph cannot be cut where wanted.
    """
    with restored(model):
        if any(tensor.ndim == 2 for tensor in leaves(example_inputs)):
            with suppress(CaptureError):
                return _captured(model, example_inputs, logits_of, names, free=True)
        return _captured(model, example_inputs, logits_of, names, free=False)


def _captured(
    model: nn.Module, example_inputs: Inputs, logits_of: LogitsOf, names: Sequence[str] | None, free: bool
) -> Backbone:
    captured = capture(model, example_inputs, logits_of, free)
    try:
        return _left(model, captured, logits_of, names)
    except CaptureError:
        raise
    except Exception as error:  # operations that the exporter takes and a meta tensor or a cut does not
        reason = (str(error).strip() or "no reason given").splitlines()[0]
        raise CaptureError(f"cannot cut {type(model).__name__}: {type(error).__name__}: {reason}") from error


def _left(model: nn.Module, captured: Capture, logits_of: LogitsOf, names: Sequence[str] | None) -> Backbone:
    upto = macs_upto(captured)
    total = max(upto[node.name] for node in captured.ends)
    name_of = ends(captured, model)
    legal = [cut for cut in cuts(captured) if name_of.get(cut.node, INPUT) != INPUT]
    if names is None:
        legal = _worth_an_exit(legal, upto, total)
    else:
        legal = [cut for cut in legal if name_of[cut.node] in names]
    if forgets(captured, legal):
        raise CaptureError(f"cannot cut {type(model).__name__} with the lengths of its inputs left open")
    legal = _verified(model, captured, legal, name_of)
    if names is None:
        legal = _lightest(legal, {cut.node: upto[cut.node.name] / total for cut in legal})
    missing = [name for name in names or () if name != INPUT and name not in {name_of[cut.node] for cut in legal}]
    if missing or not (legal or (names is not None and set(names) <= {INPUT})):
        raise CaptureError(
            f"expected a place where few tensors are all that {type(model).__name__} still needs, found none"
            f"{' at ' + ', '.join(missing) if missing else ''}"
        )
    _refuse_other_answers(model, captured, legal, logits_of)
    points = tuple(
        ExitPoint(
            name=name_of[cut.node],
            index=index,
            feature_shape=tuple(map(hint, cut.node.meta["val"].shape[1:])),
            depth=upto[cut.node.name] / total,
            side_values=tuple(captured.name_of(side) for side in cut.side),
        )
        for index, cut in enumerate(legal)
    )
    classes = hint(captured.logits.meta["val"].shape[1])
    full = tuple(_spec(name, node.meta["val"]) for name, node in captured.full)
    return Backbone(model, captured.example, points, classes, total, Graph(captured, tuple(legal)), full)


def _spec(name: str, value: torch.Tensor) -> FullSpec:
    """What a value of the graph looks like; sizes that are open are not known."""
    sizes = (int(size) if isinstance(size, int) else -1 for size in value.shape[1:])
    return FullSpec(name, tuple(sizes), str(value.dtype).removeprefix("torch."))


def _worth_an_exit(legal: list[Cut], upto: dict[str, float], total: float) -> list[Cut]:
    """Cuts behind which something is left to save; where nothing has been computed yet, only behind all inputs."""
    some = [cut for cut in legal if cut.entered or upto[cut.node.name] > 0]
    return _last_of_each_cost([cut for cut in some if upto[cut.node.name] <= DEEPEST * total], upto)


def _last_of_each_cost(legal: list[Cut], upto: dict[str, float]) -> list[Cut]:
    """A layer and its trailing norm, activation or pooling cost the same MACs: only the last of them is offered.

    Of cuts of one cost those that carry the fewest hidden tensors go first.
    """
    fewest: dict[float, int] = {}
    for cut in legal:
        cost = upto[cut.node.name]
        fewest[cost] = min(fewest.get(cost, cut.carried), cut.carried)
    last = {upto[cut.node.name]: cut for cut in legal if cut.carried == fewest[upto[cut.node.name]]}
    return list(last.values())


def _lightest(legal: list[Cut], depth: dict[fx.Node, float]) -> list[Cut]:
    """The cuts that carry nothing hidden, and those that do where the former leave a gap."""
    plain = [depth[cut.node] for cut in legal if cut.carried == 0]
    gaps = [(low, high) for low, high in pairwise([0.0, *plain, 1.0]) if high - low > GAP]
    return [cut for cut in legal if cut.carried == 0 or any(low < depth[cut.node] < high for low, high in gaps)]


def _verified(model: nn.Module, captured: Capture, legal: list[Cut], name_of: dict[fx.Node, str]) -> list[Cut]:
    """The cuts whose tensor in the graph equals what a hook sees on the module of that name."""
    keep = _Keep(captured.graph_module, {cut.node for cut in legal})
    with (
        frozen(model),
        tapped(model, [name_of[cut.node] for cut in legal], keep=lambda _, f: f.clone()) as seen,
    ):
        call(model, copy(captured.example))
        keep.run(*leaves(copy(captured.example)), enable_io_processing=False)
        return [cut for cut in legal if same(seen.get(name_of[cut.node]), keep.kept.get(cut.node))]


def _refuse_other_answers(model: nn.Module, captured: Capture, legal: list[Cut], logits_of: LogitsOf) -> None:
    """Runs the model cut everywhere: what the exporter or the cutting lost would show here.

    With one sample, too, of which the exporter, who was given two, knows nothing.
    """
    segments = split(captured, legal).segments
    for samples in (batch_size(captured.example), 1):
        some = select(captured.example, torch.arange(samples))
        with frozen(model):
            expected = logits_of(call(model, copy(some)))
            state = leaves(copy(some))
            for segment in segments:
                state = segment(*state)
        if not same(expected, state[0]):
            raise CaptureError(
                f"expected the captured {type(model).__name__} to answer as the model does, got other logits for "
                f"{samples} sample(s); write the in-place operations in its forward out of place, and keep randomness, "
                "the size of the batch and the inputs' values out of its control flow"
            )


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
