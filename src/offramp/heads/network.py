"""A whole network as the head of an exit at the input: a small model of one's own, or a student of the backbone.

Two-model cascades and TinySaver (Wang et al. 2024) are ordinary configurations with it: who is answered there never
enters the backbone.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import nn

from offramp.heads.head import Head
from offramp.heads.reduction import At, Mask
from offramp.inputs import Inputs, call, rebuild


class Answers(nn.Module):
    """The logits of a network, as a reduction of the inputs: they are cached once, and need nothing more.

    Attributes:
        network: takes the backbone's inputs.
        macs: its multiply-accumulates per sample.
        turned: False; there is nothing to turn.
    """

    turned = False

    def __init__(self, network: nn.Module, like: Inputs, logits_of: Callable[[Any], torch.Tensor], macs: float) -> None:
        super().__init__()
        self.network, self.like, self.logits_of, self.macs = network, like, logits_of, macs

    @property
    def name(self) -> str:
        """Names it in caches; with other weights it has another name."""
        digest = hashlib.sha256()
        for key, tensor in self.network.state_dict().items():
            digest.update(key.encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return f"network-{digest.hexdigest()[:16]}"

    def forward(self, feature: At, mask: Mask = None) -> Float[torch.Tensor, "batch classes"]:
        """(B, …) to (B, classes); `mask` is among the inputs where there is one."""
        tensors = feature if isinstance(feature, tuple) else (feature,)
        return self.logits_of(call(self.network, rebuild(self.like, tensors)))


def network_head(answers: Answers, classes: int) -> Head:
    """A head that says what a network does.

    Args:
        answers: the network.
        classes: how many logits it gives.
    """
    return Head(answers, nn.Sequential(nn.Identity()), classes, standardised=False)
