"""A small model of the user's that answers first: two-model cascades, and TinySaver (Wang et al. 2024)."""

from copy import deepcopy

import torch
from torch import nn

from offramp.errors import InputError
from offramp.heads.head import Head
from offramp.heads.network import Answers, network_head
from offramp.inputs import call, described, device_of, leaves
from offramp.model.backbone import Backbone
from offramp.model.capture import copy
from offramp.model.macs import network_macs
from offramp.reading import LogitsOf

Affine = tuple[tuple[float, ...], tuple[float, ...]]
"""A scale and a shift for each channel, or one of each for all."""


class Renormalised(nn.Module):
    """A network that sees `x * scale + shift`: what a backbone with another mean and deviation is given.

    Attributes:
        network: takes one tensor `(B, C, ...)`.
        scale: one per channel, or one for all.
        shift: likewise.
    """

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, network: nn.Module, affine: Affine) -> None:
        super().__init__()
        self.network = network
        for name, values in zip(("scale", "shift"), affine, strict=True):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32))

    @property
    def affine(self) -> Affine:
        """The scale and the shift of each channel."""
        return tuple(self.scale.tolist()), tuple(self.shift.tolist())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What the network says."""
        scale, shift = (by.reshape(1, -1, *[1] * (x.ndim - 2)) for by in (self.scale, self.shift))
        said: torch.Tensor = self.network(x * scale + shift)
        return said


def small_head(network: nn.Module, backbone: Backbone, logits_of: LogitsOf, affine: Affine | None = None) -> Head:
    """A frozen copy of a small model as a head at the input; what it costs is paid by all who come in.

    Args:
        network: takes what the backbone takes; left as it was found.
        backbone: for which it answers.
        logits_of: picks the logits out of its output.
        affine: what is done to the backbone's inputs first; None: nothing.

    Raises:
        InputError: if it does not take these inputs, changes them, or names other classes.
        CaptureError: if it cannot be captured, which counting its MACs takes.
    """
    own = deepcopy(network).requires_grad_(False).to(device_of(backbone.model))
    own = (own if affine is None else Renormalised(own, affine).to(device_of(own))).eval()
    _try(own, type(network).__name__, backbone, logits_of)
    answers = Answers(own, backbone.example, logits_of, network_macs(own, backbone.example, logits_of))
    return network_head(answers, backbone.classes).eval()


def _try(network: nn.Module, name: str, backbone: Backbone, logits_of: LogitsOf) -> None:
    given, before = copy(backbone.example), leaves(backbone.example)
    try:
        with torch.no_grad():
            said = tuple(logits_of(call(network, given)).shape)
    except Exception as error:  # whatever the model's own code raises
        reason = next(iter(str(error).strip().splitlines()), "no reason given")
        raise InputError(
            f"expected a small model that takes what the backbone takes, {described(backbone.example)}; {name} raises "
            f"{type(error).__name__}: {reason}; choose another, or wrap it in a module that does"
        ) from error
    if said != (len(before[0]), backbone.classes):
        raise InputError(
            f"expected a small model with the {backbone.classes} classes of the backbone, {name} gives logits of shape "
            f"{said[1:]}; choose one that was trained for them"
        )
    if not all(torch.equal(now, then) for now, then in zip(leaves(given), before, strict=True)):
        raise InputError(
            f"expected a small model that leaves its inputs as they are, {name} changes them and the backbone would "
            "see that; let it work on a copy"
        )
