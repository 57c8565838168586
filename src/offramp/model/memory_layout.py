"""The memory layout in which a network computes fastest."""

import torch
from torch import nn

from offramp.inputs import Inputs, call, device_of, select


def fastest_layout(network: nn.Module, inputs: Inputs | None) -> torch.memory_format:
    """Channels last for pictures where the network can take them, which is a quarter faster; else as usual.

    Args:
        network: in eval mode.
        inputs: what it is given; two of them are tried.
    """
    if not isinstance(inputs, torch.Tensor) or inputs.ndim != 4:
        return torch.contiguous_format
    few = select(inputs, torch.arange(min(2, len(inputs))))
    assert isinstance(few, torch.Tensor)
    try:
        with torch.no_grad():
            call(network, few.to(device_of(network)).contiguous(memory_format=torch.channels_last))
    except RuntimeError:  # it looks at its features with `view`, which needs the usual layout
        return torch.contiguous_format
    return torch.channels_last


def laid_out(inputs: Inputs, layout: torch.memory_format) -> Inputs:
    """Pictures in that layout; anything else as it is."""
    if isinstance(inputs, torch.Tensor) and inputs.ndim == 4:
        return inputs.contiguous(memory_format=layout)
    return inputs
