"""A backbone as a flat graph of tensor operations, by `torch.export` with a dynamic batch."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.utils import _pytree as pytree

from offramp.errors import CaptureError
from offramp.inputs import Inputs, batch_size, call, select
from offramp.model.modes import frozen

LogitsOf = Callable[[Any], torch.Tensor]
"""Finds the logits in whatever a model returns; a `Task` provides it."""


@dataclass(frozen=True, eq=False)
class Capture:
    """The backbone as one graph whose parameters are the user's own.

    Attributes:
        graph_module: the exported graph; placeholders are the flat inputs, in the order of `inputs.leaves`.
        example: the inputs the graph was captured with, at a batch of at least 2.
        logits: the node that holds the logits.
        batch: the symbol of the batch size.
    """

    graph_module: fx.GraphModule
    example: Inputs
    logits: fx.Node
    batch: Any

    @property
    def placeholders(self) -> list[fx.Node]:
        """The graph's inputs."""
        return self.graph_module.graph.find_nodes(op="placeholder")


def capture(model: nn.Module, inputs: Inputs, logits_of: LogitsOf) -> Capture:
    """The graph of `model` in eval mode, valid for every batch size.

    Args:
        model: the backbone; left as it was found.
        inputs: example inputs. A batch of one is doubled, since tracing one sample would fix the batch at one.
        logits_of: picks the logits out of the model's output.

    Raises:
        CaptureError: if the model cannot be exported, with the exporter's reason.
    """
    example = select(inputs, torch.arange(2) % batch_size(inputs))
    with frozen(model):
        try:
            output = call(model, example)
            index = _position(output, logits_of(output))
            program = _export(model, example)
        except CaptureError:
            raise
        except Exception as error:
            reason = (str(error).strip() or "no reason given").splitlines()[0]
            raise CaptureError(f"cannot capture {type(model).__name__}: {type(error).__name__}: {reason}") from error
    module = program.module(check_guards=False)
    assert isinstance(module, fx.GraphModule)
    logits = pytree.tree_leaves(module.graph.output_node().args)[index]
    batch = module.graph.find_nodes(op="placeholder")[0].meta["val"].shape[0]
    if not isinstance(logits, fx.Node) or not isinstance(batch, torch.SymInt):
        raise CaptureError(f"cannot capture {type(model).__name__}: its output does not follow the batch size")
    return Capture(module, example, logits, batch.node.expr)


def _export(model: nn.Module, example: Inputs) -> torch.export.ExportedProgram:
    dynamic = {0: torch.export.Dim.DYNAMIC}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about its own internals; refusals are exceptions
        if isinstance(example, dict):
            shapes: Any = dict.fromkeys(example, dynamic)
            return torch.export.export(model, (), example, dynamic_shapes=shapes, strict=False)
        args = example if isinstance(example, tuple) else (example,)
        return torch.export.export(model, args, dynamic_shapes=(dynamic,) * len(args), strict=False)


def _position(output: Any, logits: torch.Tensor) -> int:
    for index, leaf in enumerate(pytree.tree_leaves(output)):
        if leaf is logits:
            return index
    raise CaptureError("expected the logits to be one of the model's outputs; give a task that finds them")
