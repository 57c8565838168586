"""MobileFaceNet (Chen et al. 2018): a face of 112x112 to an embedding of 128 numbers."""

from pathlib import Path

import torch
from torch import nn

from offramp.load.weights import fill, load_state

SETTING = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
"""Of each row of bottlenecks: expansion, channels, how many, stride of the first (table 1 of the paper)."""

NAMES = {
    "conv1.": "stem.",
    "dw_conv.depthwise.": "separable.0.",
    "dw_conv.bn1.": "separable.1.",
    "dw_conv.pointwise.": "separable.3.",
    "dw_conv.bn2.": "separable.4.",
    ".conv.0.0.": ".body.0.",
    ".conv.0.1.": ".body.1.",
    ".conv.1.0.": ".body.3.",
    ".conv.1.1.": ".body.4.",
    ".conv.2.": ".body.6.",
    ".conv.3.": ".body.7.",
    "features.": "blocks.",
    "conv2.": "widen.",
    "gdconv.depthwise.": "whole.0.",
    "gdconv.bn.": "whole.1.",
    "conv3.": "project.",
    "bn.": "norm.",
}
"""What parts are called in the published weights, and here; of a name the beginning, or for `.conv.` the middle."""


class Bottleneck(nn.Module):
    """Inverted residual: widened by 1x1, filtered channel by channel, narrowed by 1x1 without activation."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = expansion * inputs
        self.body = nn.Sequential(
            *_conv(inputs, wide, 1),
            nn.ReLU6(),
            *_conv(wide, wide, 3, stride, padding=1, groups=wide),
            nn.ReLU6(),
            *_conv(wide, outputs, 1),
        )
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features (B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        found: torch.Tensor = self.body(x)
        return x + found if self.adds else found


class MobileFaceNet(nn.Module):
    """Faces (B, 3, 112, 112) to embeddings (B, 128), compared by their cosine.

    The paper has PReLU throughout. The published weights have no parameters of activations, and do not say which there
    were: with ReLU in the stem's separable convolution and ReLU6 elsewhere the pairs of ORL are told apart best.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_conv(3, 64, 3, stride=2, padding=1), nn.ReLU6())
        self.separable = nn.Sequential(*_conv(64, 64, 3, padding=1, groups=64), nn.ReLU(), *_conv(64, 64, 1), nn.ReLU())
        blocks, channels = [], 64
        for expansion, outputs, count, stride in SETTING:
            for index in range(count):
                blocks.append(Bottleneck(channels, outputs, expansion, stride if index == 0 else 1))
                channels = outputs
        self.blocks = nn.Sequential(*blocks)
        self.widen = nn.Sequential(*_conv(channels, 512, 1), nn.ReLU6())
        self.whole = nn.Sequential(*_conv(512, 512, 7, groups=512))
        self.project = nn.Conv2d(512, 128, 1)
        self.norm = nn.BatchNorm1d(128)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalised faces (B, 3, 112, 112) to embeddings (B, 128) of any length."""
        x = self.widen(self.blocks(self.separable(self.stem(x))))
        found: torch.Tensor = self.norm(self.project(self.whole(x)).flatten(1))
        return found


def pretrained(weights: Path) -> MobileFaceNet:
    """The network with the published weights, which were trained on MS-Celeb-1M, in eval mode.

    Raises:
        InputError: if the file cannot be read, or its names or shapes are not those of the network.
    """
    model = MobileFaceNet()
    fill(model, {renamed(name): tensor for name, tensor in load_state(weights).items()}, str(weights))
    return model.eval()


def renamed(name: str) -> str:
    """What a tensor of the published weights is called here.

    >>> renamed("features.3.conv.1.0.weight"), renamed("gdconv.bn.bias"), renamed("bn.weight")
    ('blocks.3.body.3.weight', 'whole.1.bias', 'norm.weight')
    """
    for theirs, ours in NAMES.items():
        if name.startswith(theirs) or (theirs.startswith(".") and theirs in name):
            name = name.replace(theirs, ours, 1)
    return name


def _conv(inputs: int, outputs: int, size: int, stride: int = 1, padding: int = 0, groups: int = 1) -> list[nn.Module]:
    """A convolution without bias, and its batch norm."""
    return [nn.Conv2d(inputs, outputs, size, stride, padding, groups=groups, bias=False), nn.BatchNorm2d(outputs)]
