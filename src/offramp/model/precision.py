"""Where half precision pays, and does no harm."""

import torch
from torch import nn

from offramp.inputs import Inputs, batch_size, call, device_of, on, select
from offramp.model.modes import frozen
from offramp.reading import LogitsOf

NEAR = 0.9
"""Share of the inputs that a model in half precision has to put into the same class."""


def computes_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is fast there: on processors with instructions for it, and on GPUs."""
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    if device.type != "cuda":
        return False
    with torch.cuda.device(device):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def bears_bfloat16(model: nn.Module, inputs: Inputs, logits_of: LogitsOf) -> bool:
    """Whether a model answers these inputs under autocast, and nearly all of them as it does without.

    Code that mixes tensors it has made itself with results of its layers may fail there, and sums that are large lose
    what they differ by.

    Args:
        model: left as it is.
        inputs: some that it is given, as they come; left as they are.
        logits_of: picks the logits out of its output.
    """
    shorter = _in_bfloat16(model, inputs, logits_of)
    if shorter is None:
        return False
    with frozen(model):
        plain = logits_of(call(model, _copied(inputs, model)))
    return float((shorter.argmax(1) == plain.argmax(1)).double().mean()) >= NEAR


def runs_in_bfloat16(model: nn.Module, inputs: Inputs, logits_of: LogitsOf) -> bool:
    """Whether a model that is not trained yet runs under autocast on these inputs, and its answers are finite."""
    return _in_bfloat16(model, inputs, logits_of) is not None


def _in_bfloat16(model: nn.Module, inputs: Inputs, logits_of: LogitsOf) -> torch.Tensor | None:
    with frozen(model), torch.autocast(device_of(model).type, torch.bfloat16):
        try:
            found = logits_of(call(model, _copied(inputs, model)))
        except (RuntimeError, TypeError):  # types that do not go together; NumPy has no bfloat16
            return None
    return found if torch.isfinite(found).all() else None


def _copied(inputs: Inputs, model: nn.Module) -> Inputs:
    """The model may work on them in place."""
    return on(select(inputs, torch.arange(batch_size(inputs))), device_of(model))
