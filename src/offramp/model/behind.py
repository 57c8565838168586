"""A copy of the rest of a backbone as a network on inputs, so that it is taught like any other."""

from typing import Any

import torch
from torch import nn

from offramp.inputs import Inputs, arranged, leaves
from offramp.model.backbone import Backbone
from offramp.model.pruned import Pruned


class Behind(nn.Module):
    """The frozen backbone up to an exit point, then a copy of the rest.

    Attributes:
        network: takes the feature there. Its parameters are the only ones; the backbone's stay the user's.
    """

    def __init__(self, backbone: Backbone, network: Pruned) -> None:
        super().__init__()
        self.network = network
        self._example, self._ahead = backbone.example, backbone.chain([network.start])

    def forward(self, *args: torch.Tensor, **kwargs: torch.Tensor) -> Any:
        """What the network makes of a batch of the backbone's inputs."""
        given: Inputs = kwargs or (args[0] if isinstance(self._example, torch.Tensor) else args)
        with torch.no_grad():
            feature = self._ahead.segment(0, leaves(arranged(given, self._example)))[0]
        return self.network(feature.to(leaves(self.network.example)[0].dtype))  # autocast may have made it shorter
