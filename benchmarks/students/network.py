"""A ResNet of some of a backbone's own blocks."""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.cifar_resnet import CifarResNet, resnet56


class Student(nn.Module):
    """So many blocks of every stage, evenly spread from the first to the last, with heads inside where they are wanted.

    Args:
        backbone: gives its blocks, or with `copied` false only their shape.
        keep: how many of each stage.
        inner: whether there are heads behind the first two stages.
        copied: whether the weights are the backbone's.
    """

    def __init__(self, backbone: CifarResNet, keep: Sequence[int], inner: bool = False, copied: bool = True) -> None:
        super().__init__()
        whole = copy.deepcopy(backbone) if copied else resnet56().to(backbone.linear.weight.device)
        self.conv1, self.bn1, self.linear = whole.conv1, whole.bn1, whole.linear
        stages = [list(stage) for stage in (whole.layer1, whole.layer2, whole.layer3)]
        self.stages = nn.ModuleList(
            nn.Sequential(*(blocks[int(i)] for i in np.ceil(np.linspace(0, len(blocks) - 1, count))))
            for blocks, count in zip(stages, keep, strict=True)
        )
        device = backbone.linear.weight.device
        self.inner = nn.ModuleList(_head(width).to(device) for width in ((16, 32) if inner else ()))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
        """Logits (B, 10), the last feature (B, 64), and the logits of the heads inside."""
        x, said = F.relu(self.bn1(self.conv1(x))), []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number < len(self.inner):
                said.append(self.inner[number](x))
        feature = x.mean((2, 3))
        return self.linear(feature), feature, said


def _head(width: int) -> nn.Module:
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * width, 128), nn.ReLU(), nn.Linear(128, 10)
    )
