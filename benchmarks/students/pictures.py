"""Views of pictures, and what the backbone says about them, made where the pictures lie."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch.nn import functional as F

from benchmarks.cifar_resnet import PREPROCESS, CifarResNet

Told = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Views (B, 3, 32, 32), the backbone's logits (B, 10), and its last feature (B, 64)."""


def as_seen(pictures: torch.Tensor) -> torch.Tensor:
    """Pictures (B, 32, 32, 3) of bytes as the networks take them."""
    mean, std = (torch.tensor(PREPROCESS[key], device=pictures.device)[:, None, None] for key in ("mean", "std"))
    return (pictures.permute(0, 3, 1, 2).float() / 255 - mean) / std


def view(x: torch.Tensor, mix: float) -> torch.Tensor:
    """Shifted, mirrored, and as often as `mix` says blended copies, as `offramp.model.augment` makes them."""
    count, places = len(x), torch.arange(32, device=x.device)

    def drawn(share: float) -> torch.Tensor:
        return (torch.rand(count, device=x.device) < share)[:, None, None, None]

    x = torch.where(drawn(0.5), x.flip(3), x)
    top, left = (torch.randint(0, 9, (count, 1), device=x.device) + places for _ in range(2))
    sample = torch.arange(count, device=x.device)[:, None, None, None]
    channel = torch.arange(3, device=x.device)[None, :, None, None]
    x = F.pad(x, (4, 4, 4, 4))[sample, channel, top[:, None, :, None], left[:, None, None, :]]
    kept = 0.5 + 0.5 * torch.rand(count, device=x.device)[:, None, None, None]
    weight = torch.where(drawn(mix), kept, 1.0)
    return weight * x + (1 - weight) * x[torch.randperm(count, device=x.device)]


@dataclass(eq=False)
class Stream:
    """Endless views of some pictures, every picture once before any is seen again.

    Attributes:
        pictures: bytes (N, 32, 32, 3).
        backbone: says what is learnt.
        mix: share of the views that are blends.
        fixed: so many views are made once and seen again and again; 0: all are new.
    """

    pictures: torch.Tensor
    backbone: CifarResNet
    mix: float
    fixed: int = 0
    _kept: Told | None = None
    _next: torch.Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))

    def __post_init__(self) -> None:
        if self.fixed:
            made = [as_seen(self.pictures), *self._copies()]
            told = [self._told(x) for some in made for x in torch.split(some, 2000)]
            self._kept = tuple(torch.cat(parts) for parts in zip(*told, strict=True))  # type: ignore[assignment]

    def take(self, count: int) -> Told:
        """The next views."""
        size = len(self.pictures) if self._kept is None else len(self._kept[0])
        if len(self._next) < count:
            self._next = torch.cat([self._next.to(self.pictures.device), self._order(size)])
        rows, self._next = self._next[:count], self._next[count:]
        if self._kept is None:
            return self._told(view(as_seen(self.pictures[rows]), self.mix))
        x, logits, feature = (part[rows] for part in self._kept)
        return x.float(), logits, feature

    def _order(self, size: int) -> torch.Tensor:
        return torch.randperm(size, device=self.pictures.device)

    def _copies(self) -> Iterator[torch.Tensor]:
        for _ in range(max(1, round(self.fixed / len(self.pictures)) - 1)):
            yield torch.cat([view(as_seen(some), self.mix) for some in torch.split(self.pictures, 2500)])

    def _told(self, x: torch.Tensor) -> Told:
        with torch.no_grad(), torch.autocast(x.device.type, half(x.device)):
            feature = last_feature(self.backbone, x).float()
        return x.half() if self.fixed else x, self.backbone.linear(feature).detach(), feature


def last_feature(network: CifarResNet, x: torch.Tensor) -> torch.Tensor:
    """What the network's linear layer sees of pictures (B, 3, 32, 32): (B, 64)."""
    x = F.relu(network.bn1(network.conv1(x)))
    return network.layer3(network.layer2(network.layer1(x))).mean((2, 3))  # type: ignore[no-any-return]


def half(device: torch.device) -> torch.dtype:
    """What the backbone computes in there."""
    return torch.float16 if device.type == "cuda" else torch.bfloat16
