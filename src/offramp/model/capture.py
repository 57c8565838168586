"""A backbone as a flat graph of tensor operations, by `torch.export` with a dynamic batch."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.utils import _pytree as pytree

from offramp.errors import CaptureError
from offramp.inputs import Inputs, batch_size, call, device_of, leaves, on, rebuild, select
from offramp.model import in_place
from offramp.model.modes import frozen
from offramp.model.sizes import Guards, Sizes, taken_off
from offramp.reading import LogitsOf, full_of

MOST = 65535
"""Samples in a batch that the exporter is told of; CUDA kernels have no larger grids."""

INSIDE = "backbone"
"""Under this name the model is a module of what is exported; `within` takes it off again."""


Told = Callable[[tuple[str, ...]], None]
"""Told the names of what else a model returns."""


class _Answering(nn.Module):
    """The model, taking its inputs by position and returning its logits, and behind them what else there is.

    Outputs may be of any type (a dataclass with a cache of keys and values), and modules may have any name, also one
    that a graph module uses itself (`meta`).
    """

    def __init__(self, model: nn.Module, logits_of: LogitsOf, example: Inputs, told: Told) -> None:
        super().__init__()
        self.training = False
        self.backbone, self.logits_of, self.example, self.told = model, logits_of, example, told

    def forward(self, *args: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        output = call(self.backbone, rebuild(self.example, args))
        full = full_of(self.logits_of, output)
        self.told(tuple(full))
        return (self.logits_of(output), *full.values()) if full else self.logits_of(output)


def within(path: str) -> str:
    """The path of a module or parameter inside the user's model.

    >>> within("backbone.layer1.0"), within("backbone")
    ('layer1.0', '')
    """
    return path.removeprefix(INSIDE).removeprefix(".")


@dataclass(frozen=True, eq=False)
class Capture:
    """The backbone as one graph whose parameters are the user's own.

    Attributes:
        graph_module: the exported graph; placeholders are the flat inputs, in the order of `inputs.leaves`.
        example: the inputs the graph was captured with, at a batch of at least 2.
        logits: the node that holds the logits.
        batch: the symbol of the batch size.
        sizes: for which sizes of the inputs the graph holds.
        full: by name, the nodes that hold what else the model returns.
    """

    graph_module: fx.GraphModule
    example: Inputs
    logits: fx.Node
    batch: Any
    sizes: Sizes
    full: tuple[tuple[str, fx.Node], ...] = ()

    @property
    def ends(self) -> tuple[fx.Node, ...]:
        """All that the model returns, the logits first."""
        return (self.logits, *(node for _, node in self.full))

    @property
    def placeholders(self) -> list[fx.Node]:
        """The graph's inputs."""
        return self.graph_module.graph.find_nodes(op="placeholder")

    def name_of(self, node: fx.Node) -> str:
        """What a value is called: a named input by its name, anything else as in the graph."""
        names = dict(zip(self.placeholders, self.example, strict=True)) if isinstance(self.example, dict) else {}
        return names.get(node, node.name)


def capture(model: nn.Module, inputs: Inputs, logits_of: LogitsOf, free: bool = False) -> Capture:
    """The graph of `model` in eval mode, valid for every batch size.

    Args:
        model: the backbone; left as it was found.
        inputs: example inputs. A batch of one is doubled, since tracing one sample would fix the batch at one.
        logits_of: picks the logits out of the model's output.
        free: whether the lengths of inputs `(B, T)` stay open as well.

    Raises:
        CaptureError: if the model cannot be exported, with the exporter's reason.
    """
    example = on(select(inputs, torch.arange(2) % batch_size(inputs)), device_of(model))
    heard: list[tuple[str, ...]] = []
    with frozen(model):
        try:
            module, guards = _export(_Answering(model, logits_of, example, heard.append), example, free)
            _refuse_changing_buffers(model, module)
        except CaptureError:
            raise
        except Exception as error:
            reason = (str(error).strip() or "no reason given").splitlines()[0]
            raise CaptureError(f"cannot capture {type(model).__name__}: {type(error).__name__}: {reason}") from error
    logits, *more = pytree.tree_leaves(module.graph.output_node().args)
    batch = module.graph.find_nodes(op="placeholder")[0].meta["val"].shape[0]
    followed = isinstance(logits, fx.Node) and isinstance(logits.meta["val"].shape[0], torch.SymInt)
    if not followed or not isinstance(batch, torch.SymInt):
        raise CaptureError(f"cannot capture {type(model).__name__}: its output does not follow the batch size")
    sizes = Sizes(module, guards)
    if not sizes.allow(example):
        raise CaptureError(f"cannot capture {type(model).__name__}: what it does depends on the size of the batch")
    full = tuple((name, node) for name, node in zip(heard[-1], more, strict=True) if _follows(node, batch))
    return Capture(module, example, logits, batch.node.expr, sizes, full)


def _follows(node: Any, batch: torch.SymInt) -> bool:
    """Whether a value is one of each sample."""
    first = node.meta["val"].shape[0] if isinstance(node, fx.Node) else None
    return isinstance(first, torch.SymInt) and bool(first.node.expr == batch.node.expr)


def copy(inputs: Inputs) -> Inputs:
    """The same batch in memory of its own, for a model that may work on its inputs in place."""
    return rebuild(inputs, [tensor.clone() for tensor in leaves(inputs)])


def _export(model: nn.Module, example: Inputs, free: bool) -> tuple[fx.GraphModule, Guards]:
    """The exported graph and its guards; without in-place operations where cutting it could lose one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about its own internals; refusals are exceptions
        program = _program(model, example, free)
        module = program.module()
        guards = taken_off(module)
        if in_place.hidden(module.graph):
            module = program.run_decompositions({}).module()
            guards = taken_off(module)
    return module, guards


def _program(model: nn.Module, example: Inputs, free: bool) -> torch.export.ExportedProgram:
    args, batch = leaves(example), torch.export.Dim("batch", min=2, max=MOST)
    # the exporter does not come to an end on some models if heights and widths are left open (Swin), so those are not
    shapes = {"args": tuple({0: batch} | ({1: torch.export.Dim.AUTO} if free and t.ndim == 2 else {}) for t in args)}
    return torch.export.export(model, args, dynamic_shapes=shapes, strict=False)


def _refuse_changing_buffers(model: nn.Module, module: fx.GraphModule) -> None:
    changed = in_place.attributes(module.graph)
    if changed:
        raise CaptureError(
            f"expected a model that leaves its buffers alone in eval mode, got {type(model).__name__}, which writes to "
            f"{', '.join(map(within, changed))}; its answers would depend on earlier batches"
        )
