"""A running mean of the heads' weights, which answers better than the weights of any one step."""

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel


def averaged(heads: nn.ModuleList, decay: float) -> AveragedModel:
    """Copies of the heads that hold the exponential mean of their weights; `update_parameters` takes a step in.

    Averages of the iterates go back to Polyak and Juditsky (1992), as an exponential mean to Tarvainen and Valpola
    (2017). Over the first steps the mean is shorter, min(decay, (1 + n) / (10 + n)) at step n, so that the weights the
    heads started with do not stay in it.

    Args:
        heads: what is trained.
        decay: share of the mean that a step leaves; 0: the mean is the last step itself.
    """
    return AveragedModel(heads, multi_avg_fn=_mean(decay))


def _mean(decay: float) -> Callable[[Sequence[torch.Tensor], Sequence[torch.Tensor], torch.Tensor | int], None]:
    @torch.no_grad()
    def take_in(mean: Sequence[torch.Tensor], step: Sequence[torch.Tensor], steps: torch.Tensor | int) -> None:
        left = min(decay, (1.0 + float(steps)) / (10.0 + float(steps)))
        for old, new in zip(mean, step, strict=True):
            old.lerp_(new, 1.0 - left)

    return take_in
