"""Statistics of batch norms for weights that were not trained."""

from collections.abc import Callable

import torch
from torch import nn


def recalibrate(network: nn.Module, run: Callable[[], object]) -> bool:
    """Sets the statistics of batch norms to the plain means over the batches that `run` puts through the network.

    Between two networks, or in their neighbourhood, the statistics are those of neither. All else (dropout) stays in
    the mode it is in, and batch norms end in eval mode with the momentum they had.

    Returns:
        Whether there are any; where there are none, `run` is not called.
    """
    norms = [part for part in network.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    norms = [norm for norm in norms if norm.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    if norms:
        with torch.no_grad():
            run()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
    return bool(norms)
