"""Multiply-accumulate counts, by torch's flop counter on the `meta` device.

On CPU tensors torch counts 0 for fused attention (pytorch#195460); on `meta` it counts the matrix products inside.
One MAC is two of torch's FLOPs. Batch norm, additions and pooling are free, as in the literature.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx, nn
from torch.utils import _pytree as pytree
from torch.utils.flop_counter import FlopCounterMode

from offramp.inputs import Inputs, leaves
from offramp.model.capture import Capture, capture
from offramp.reading import LogitsOf


class _Counter(fx.Interpreter):
    """Runs a graph on `meta` tensors and notes how far the flop counter had come after each node."""

    def __init__(self, module: fx.GraphModule, counter: FlopCounterMode) -> None:
        super().__init__(module, garbage_collect_values=True)
        self.counter = counter
        self.upto: dict[fx.Node, float] = {}

    def fetch_attr(self, target: str) -> Any:
        value = super().fetch_attr(target)
        return value.to("meta") if isinstance(value, torch.Tensor) else value

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        self.upto[n] = self.counter.get_total_flops() / 2
        return value

    def fetch_args_kwargs_from_env(self, n: fx.Node) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of a node, with every device it names (`arange`, `to`, ...) replaced by `meta`."""
        args, kwargs = super().fetch_args_kwargs_from_env(n)
        return pytree.tree_map(_on_meta, (args, kwargs))  # type: ignore[no-any-return]


def _on_meta(value: Any) -> Any:
    return torch.device("meta") if isinstance(value, torch.device) else value


def macs_upto(captured: Capture) -> dict[str, float]:
    """MACs per sample spent when each node (by name) of the captured backbone is done."""
    inputs = leaves(captured.example)
    batch = inputs[0].shape[0]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        run = _Counter(captured.graph_module, counter)
        run.run(*(tensor.to("meta") for tensor in inputs), enable_io_processing=False)
    return {node.name: count / batch for node, count in run.upto.items()}


def module_macs(module: nn.Module, shapes: Sequence[tuple[int, ...]]) -> float:
    """MACs of one call of `module` on tensors of the given shapes (without batch axis), per sample."""
    on_meta = {name: tensor.to("meta") for name, tensor in module.state_dict().items()}
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        torch.func.functional_call(module, on_meta, tuple(torch.empty(1, *shape, device="meta") for shape in shapes))
    return float(counter.get_total_flops()) / 2


def network_macs(network: nn.Module, example: Inputs, logits_of: LogitsOf) -> float:
    """MACs per sample of a whole network.

    Raises:
        CaptureError: if it cannot be captured, which counting takes.
    """
    captured = capture(network, example, logits_of)
    return macs_upto(captured)[captured.logits.name]
