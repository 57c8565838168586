"""Where trained networks lie: the loss between two of them, the rank of what they see, and which exits pull at them."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import nn

Weights = Mapping[str, torch.Tensor]


def between(one: Weights, other: Weights, share: float) -> dict[str, torch.Tensor]:
    """The point at `share` of the straight line from one to the other; counts stay those of the first."""
    return {
        name: torch.lerp(value, other[name], share) if value.is_floating_point() else value
        for name, value in one.items()
    }


def barrier(losses: Sequence[float]) -> float:
    """How far the loss along a line, at even steps, rises above the straight line between its ends; at least 0.

    >>> barrier([1.0, 4.0, 3.0])
    2.0
    """
    found = np.asarray(losses, dtype=np.float64)
    straight = np.linspace(found[0], found[-1], len(found))
    return float((found - straight).max())


def recalibrate(model: nn.Module, run: Callable[[], object]) -> None:
    """Sets the statistics of batch norms to the plain means over the batches that `run` puts through the model."""
    norms = [part for part in model.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    with torch.no_grad():
        run()
    for norm in norms:
        norm.eval()


def ranks(features: np.ndarray) -> tuple[int, float]:
    """Numerical and effective rank of the covariance of features (samples, entries).

    The numerical one counts singular values above the default tolerance of `matrix_rank` in float32, as earlier code of
    the authors does; the effective one is exp of the entropy of the singular values over their sum.
    """
    covariance = torch.cov(torch.from_numpy(np.ascontiguousarray(features.T)).double())
    values = torch.linalg.svdvals(covariance)
    tolerance = values.max() * len(values) * torch.finfo(torch.float32).eps
    share = values / values.sum()
    entropy = -(share * share.clamp_min(1e-300).log()).sum()
    return int((values > tolerance).sum()), float(entropy.exp())


def dominance(losses: Sequence[torch.Tensor], blocks: Sequence[Sequence[nn.Parameter]]) -> np.ndarray:
    """G[b, k] / sum of G[b]: the norm of the gradient of each exit's loss in each block, over that of all exits.

    A block that an exit does not depend on gets nothing from it.
    """
    found = np.zeros((len(blocks), len(losses)))
    every = [parameter for block in blocks for parameter in block]
    for exit_, loss in enumerate(losses):
        gradients = iter(torch.autograd.grad(loss, every, retain_graph=True, allow_unused=True))
        for number, block in enumerate(blocks):
            own = [next(gradients) for _ in block]
            found[number, exit_] = sum(float(one.pow(2).sum()) for one in own if one is not None) ** 0.5
    share: np.ndarray = found / found.sum(axis=1, keepdims=True)
    return share
