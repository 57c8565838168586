"""Where half precision pays, and does no harm."""

import torch
from torch import nn

from offramp.inputs import Inputs, call, device_of, on
from offramp.model.capture import LogitsOf
from offramp.model.modes import frozen

NEAR = 0.9
"""Share of the inputs that a model in half precision has to put into the same class."""


def computes_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is fast there: on processors with instructions for it, and on GPUs."""
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return device.type == "cuda" and torch.cuda.is_bf16_supported()


def bears_bfloat16(model: nn.Module, inputs: Inputs, logits_of: LogitsOf) -> bool:
    """Whether a model answers these inputs under autocast, and nearly all of them as it does without.

    Code that mixes tensors it has made itself with results of its layers may fail there, and sums that are large lose
    what they differ by.
    """
    device = device_of(model)
    with frozen(model):
        plain = logits_of(call(model, on(inputs, device))).argmax(1)
        try:
            with torch.autocast(device.type, torch.bfloat16):
                shorter = logits_of(call(model, on(inputs, device)))
        except RuntimeError:
            return False
    return bool(torch.isfinite(shorter).all()) and float((shorter.argmax(1) == plain).double().mean()) >= NEAR
