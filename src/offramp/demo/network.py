"""The backbone of the demonstration: a small residual network for 28x28 digits, with weights that ship here."""

from importlib.resources import as_file, files

import torch
from torch import nn
from torch.nn import functional as F

WEIGHTS = "digits.safetensors"
"""Made by `python -m benchmarks.train_demo_backbone` from 1,500 of 5,000 digits; the demonstration uses the others."""


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        same = stride == 1 and channels_in == channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels_in, channels, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels_in, H, W) to (B, channels, H / stride, W / stride)."""
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class DigitNet(nn.Module):
    """Logits of digits (B, 1, 28, 28), by three stages of four blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.preprocess = {"mean": (0.13,), "std": (0.31,), "channels": 1}
        self.stem = nn.Conv2d(1, 12, 3, 1, 1)
        widths = [12, 12, 12, 12, 24, 24, 24, 24, 48, 48, 48, 48]
        blocks = []
        for before, width in zip([12, *widths], widths, strict=False):
            blocks.append(Block(before, width, 2 if width != before else 1))
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(48, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 1, 28, 28) to (B, 10)."""
        features = self.blocks(F.relu(self.stem(x)))
        logits: torch.Tensor = self.classifier(features.mean(dim=(2, 3)))
        return logits


def digit_net() -> DigitNet:
    """The trained network, in eval mode."""
    from offramp.load.weights import load_weights

    model = DigitNet()
    with as_file(files("offramp.demo") / WEIGHTS) as path:
        load_weights(model, path)
    return model.eval()
