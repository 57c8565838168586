"""FastestDet, a detector of 0.24 million parameters: ShuffleNetV2, spatial pyramid pooling, one anchor-free head.

Parameter names are those of the public checkpoint (BSD-3), which `load_state_dict` takes as it is.
"""

import torch
from torch import nn
from torch.nn import functional as F


def _conv(before: int, after: int, size: int = 1, *, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    layer = nn.Conv2d(before, after, size, stride, size // 2, groups=groups, bias=False)
    return [layer, nn.BatchNorm2d(after)]


class Unit(nn.Module):
    """A unit of ShuffleNetV2 (Ma et al. 2018); with stride 2 both halves see all channels."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        half = after // 2
        seen = before if stride == 2 else before // 2
        depthwise = _conv(half, half, 3, stride=stride, groups=half)
        main = [*_conv(seen, half), nn.ReLU(), *depthwise, *_conv(half, half), nn.ReLU()]
        self.branch_main = nn.Sequential(*main)
        self.branch_proj: nn.Module | None = None
        if stride == 2:
            project = [*_conv(before, before, 3, stride=2, groups=before), *_conv(before, half), nn.ReLU()]
            self.branch_proj = nn.Sequential(*project)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The features after the unit."""
        if self.branch_proj is not None:
            return torch.cat([self.branch_proj(x), self.branch_main(x)], dim=1)
        kept, worked = x[:, 0::2], x[:, 1::2]  # the shuffle: every second channel
        return torch.cat([kept, self.branch_main(worked)], dim=1)


class Backbone(nn.Module):
    """ShuffleNetV2 of three stages."""

    def __init__(self) -> None:
        super().__init__()
        self.first_conv = nn.Sequential(*_conv(3, 24, 3, stride=2), nn.ReLU())
        self.stage2 = self._stage(24, 48, 4)
        self.stage3 = self._stage(48, 96, 8)
        self.stage4 = self._stage(96, 192, 4)

    @staticmethod
    def _stage(before: int, after: int, units: int) -> nn.Sequential:
        return nn.Sequential(Unit(before, after, 2), *(Unit(after, after, 1) for _ in range(units - 1)))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Maps at strides 8, 16 and 32."""
        fine = self.stage2(F.max_pool2d(self.first_conv(x), 3, 2, 1))
        middle = self.stage3(fine)
        return fine, middle, self.stage4(middle)


class Conv1x1(nn.Module):
    """1x1 convolution, norm, ReLU."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1x1 = nn.Sequential(*_conv(before, after), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The mixed channels."""
        mixed: torch.Tensor = self.conv1x1(x)
        return mixed


class Pyramid(nn.Module):
    """One, two and three depthwise 5x5 convolutions side by side."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.Conv1x1 = Conv1x1(before, width)
        self.S1, self.S2, self.S3 = (nn.Sequential(*self._deep(width, count)) for count in (1, 2, 3))
        self.output = nn.Sequential(*_conv(3 * width, width))

    @staticmethod
    def _deep(width: int, count: int) -> list[nn.Module]:
        return [layer for _ in range(count) for layer in (*_conv(width, width, 5, groups=width), nn.ReLU())]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The features at three sizes of view, added to the input."""
        x = self.Conv1x1(x)
        return F.relu(x + self.output(torch.cat([self.S1(x), self.S2(x), self.S3(x)], dim=1)))


class Conv5x5(nn.Module):
    """A depthwise 5x5 convolution and a 1x1 one."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        deep = _conv(before, before, 5, groups=before)
        self.conv5x5 = nn.Sequential(*deep, nn.ReLU(), *_conv(before, after))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What is asked for at every place."""
        values: torch.Tensor = self.conv5x5(x)
        return values


class Head(nn.Module):
    """Objectness, box and class at every place."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.conv1x1 = Conv1x1(width, width)
        self.obj_layers, self.reg_layers = Conv5x5(width, 1), Conv5x5(width, 4)
        self.cls_layers = Conv5x5(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 1 + 4 + classes, H / 16, W / 16): probability of an object, its box, and its class."""
        x = self.conv1x1(x)
        return torch.cat([self.obj_layers(x).sigmoid(), self.reg_layers(x), self.cls_layers(x).softmax(dim=1)], dim=1)


class FastestDet(nn.Module):
    """The detector; input (B, 3, 352, 352), BGR in 0..1."""

    def __init__(self, classes: int = 80) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.SPP = Pyramid(48 + 96 + 192, 96)
        self.detect_head = Head(96, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 85, 22, 22)."""
        fine, middle, coarse = self.backbone(x)
        merged = torch.cat([F.avg_pool2d(fine, 3, 2, 1), middle, F.interpolate(coarse, scale_factor=2.0)], dim=1)
        found: torch.Tensor = self.detect_head(self.SPP(merged))
        return found
