"""Rounding to eight bits inside a model: what a backbone that was quantised computes with.

Numbers stay floats, so that a quantised model is left, trained on and measured like any other; what integer kernels
would make of them is in the values. Runtimes read the same place as QuantizeLinear and DequantizeLinear.
"""

from collections.abc import Iterable

import torch
from torch import nn

HOOKS = "__nncf_hooks"
"""Under this name NNCF keeps, in a model, what is done before and after its operations."""

SCALE, ZERO_POINT, AXIS = "scale", "zero_point", "axis"
"""What a quantiser's buffers are called in a state dict."""


def rounds(names: Iterable[str]) -> bool:
    """Whether the tensors of these names are those of a quantised model or of a part of one.

    >>> rounds(["conv.weight", "__nncf_hooks.post_hooks.x__0.0.scale"]), rounds(["conv.weight"])
    (True, False)
    """
    return any(HOOKS in name.split(".") for name in names)


@torch.library.custom_op("offramp::rounded", mutates_args=())
def rounded(x: torch.Tensor, scale: torch.Tensor, zero_point: torch.Tensor, axis: int) -> torch.Tensor:
    """`x`, rounded to what eight bits can say: the whole numbers of the zero point's type times the scale.

    An operation of its own: the exporter does not know torch's, which takes ten times as long as what is written here.

    Args:
        x: floats.
        scale: one, or one for each index of an axis `(C)`.
        zero_point: int8 or uint8, shaped as `scale`; which number stands for 0.
        axis: along which the scales are; of no meaning for a single one.
    """
    whole = torch.iinfo(zero_point.dtype)
    shape = [1] * x.ndim
    if scale.ndim:
        shape[axis] = -1
    scale, zero = scale.reshape(shape), zero_point.reshape(shape).to(scale.dtype)
    found = (x / scale).round_().add_(zero).clamp_(whole.min, whole.max).sub_(zero).mul_(scale)
    return found.to(x.dtype)


@rounded.register_fake
def _(x: torch.Tensor, scale: torch.Tensor, zero_point: torch.Tensor, axis: int) -> torch.Tensor:
    return torch.empty_like(x)


class Quantiser(nn.Module):
    """Rounds what goes through it to eight bits; all that it knows is in its state dict."""

    def __init__(self, scale: torch.Tensor, zero_point: torch.Tensor, axis: int = 0) -> None:
        """A quantiser; its arguments are those of `rounded`."""
        super().__init__()
        self._axis = axis
        self.register_buffer(SCALE, scale)
        self.register_buffer(ZERO_POINT, zero_point)
        self.register_buffer(AXIS, torch.tensor(axis))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Tensors of any shape, rounded."""
        found: torch.Tensor = rounded(x, self.get_buffer(SCALE), self.get_buffer(ZERO_POINT), self._axis)
        return found


class Factor(nn.Module):
    """Multiplies by constants, which make activations even before they are rounded (SmoothQuant)."""

    def __init__(self, factor: torch.Tensor) -> None:
        """A multiplication; `factor` broadcasts over what is multiplied."""
        super().__init__()
        self.register_buffer("factor", factor)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Tensors of any shape, multiplied."""
        return torch.mul(x, self.get_buffer("factor"))
