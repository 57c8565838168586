"""What numbers and lengths a model of tokens can take: its vocabulary, and its positions."""

from dataclasses import dataclass

import torch
from torch import fx, nn

from offramp.inputs import leaves, rebuild
from offramp.model.capture import Capture

POSITIONS = ("position_embeddings", "wpe", "embed_positions")
"""What tables of learned positions are called in transformers."""

ENDLESS = 2**15
"""A graph that holds for sequences as long as this has no limit of its own."""

PASSED_ON = (
    torch.ops.aten.view.default,
    torch.ops.aten.reshape.default,
    torch.ops.aten.unsqueeze.default,
    torch.ops.aten.clone.default,
    torch.ops.aten.to.dtype,
    torch.ops.aten.to.device,
)
"""Operations that leave whole numbers what they are."""


@dataclass(frozen=True)
class Limits:
    """Of one input.

    Attributes:
        below: numbers must be from 0 to below this, since they are places in a table; None: nothing is known.
        most: length of its sequences at most; None: nothing is known, or it has no open length.
    """

    below: int | None
    most: int | None


def positions_of(model: nn.Module) -> int | None:
    """How many tokens a model has learned positions for; None where it has none, or they are not called so.

    Some count from behind the padding index, or keep an offset free, so not all rows of the table are positions.
    """
    found = [
        table.num_embeddings - int(getattr(table, "offset", 0)) - (0 if (pad := table.padding_idx) is None else pad + 1)
        for path, table in model.named_modules()
        if path.rpartition(".")[2] in POSITIONS and isinstance(table, nn.Embedding)
    ]
    return min(found, default=None)


def limits_of(capture: Capture, model: nn.Module) -> tuple[Limits, ...]:
    """The limits of each input, in the order of `inputs.leaves`."""
    known = [length for length in (positions_of(model), _held(capture)) if length is not None]
    most = min(known, default=None)
    return tuple(Limits(_below(node), most if _is_open(node) else None) for node in capture.placeholders)


def _is_open(node: fx.Node) -> bool:
    shape = node.meta["val"].shape
    return len(shape) == 2 and isinstance(shape[1], torch.SymInt)


def _below(node: fx.Node) -> int | None:
    """The size of the smallest table that the numbers of an input are places in."""
    value = node.meta["val"]
    if value.is_floating_point() or value.dtype == torch.bool:
        return None
    tables = []
    reached = [node]
    for one in reached:
        for user in one.users:
            if user.target in PASSED_ON and user.args[0] is one:
                reached.append(user)
            elif user.target is torch.ops.aten.embedding.default and user.args[1] is one:
                table = user.args[0]
                assert isinstance(table, fx.Node)
                tables.append(int(table.meta["val"].shape[0]))
    return min(tables, default=None)


def _held(capture: Capture) -> int | None:
    """The longest sequences for which the graph holds, which is taken to hold for all between; None: no limit."""
    least = min((tensor.shape[1] for tensor in leaves(capture.example) if tensor.ndim == 2), default=ENDLESS)
    if least >= ENDLESS or _holds(capture, ENDLESS):
        return None
    most = ENDLESS
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if _holds(capture, middle) else (least, middle)
    return least


def _holds(capture: Capture, length: int) -> bool:
    example = capture.example
    sizes = [
        (2, length) if _is_open(node) else tensor.shape
        for node, tensor in zip(capture.placeholders, leaves(example), strict=True)
    ]
    made = [torch.empty(size, device="meta") for size in sizes]
    return capture.sizes.allow(rebuild(example, made))
