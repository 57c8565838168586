"""The CIFAR-10 ResNets of He et al. 2015 (section 4.2) with option-A shortcuts, as factories for the command line.

The parameter names are those of the public checkpoints by Yerlan Idelbayev (akamaster/pytorch_resnet_cifar10, BSD-2).
"""

import torch
from torch import nn
from torch.nn import functional as F

PREPROCESS = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut without parameters: every second pixel, padded with zero channels."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.missing = channels - channels_in

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels_in, H, W) to (B, channels, H / stride, W / stride)."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.missing:
            half = self.missing // 2
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, self.missing - half))
        return F.relu(out + x)


class CifarResNet(nn.Module):
    """Three stages of `blocks` blocks with `width` channels (16 in the paper), twice and four times as many."""

    def __init__(self, blocks: int, classes: int = 10, width: int = 16) -> None:
        super().__init__()
        self.preprocess = PREPROCESS
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = _stage(width, width, blocks, 1)
        self.layer2 = _stage(width, 2 * width, blocks, 2)
        self.layer3 = _stage(2 * width, 4 * width, blocks, 2)
        self.linear = nn.Linear(4 * width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of images (B, 3, 32, 32)."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: torch.Tensor = self.linear(x.mean(dim=(2, 3)))
        return logits


def _stage(channels_in: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
    first = Block(channels_in, channels, stride)
    return nn.Sequential(first, *(Block(channels, channels, 1) for _ in range(blocks - 1)))


def resnet20() -> CifarResNet:
    """ResNet-20: 40.6 MMACs."""
    return CifarResNet(3)


def resnet56() -> CifarResNet:
    """ResNet-56: 125.5 MMACs."""
    return CifarResNet(9)
