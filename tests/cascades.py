"""A large and a small network that mostly agree, as factories of a file like a user's."""

import torch
from torch import nn

CLASSES, SHAPE = 4, (3, 8, 8)


class Large(nn.Module):
    """What the small one says, and a little more that takes a hundred times as much to compute."""

    def __init__(self, weight: float = 0.25) -> None:
        super().__init__()
        self.linear, self.weight = drawn(nn.Linear(192, CLASSES), 0), weight
        self.deep = nn.Sequential(*(drawn(nn.Conv2d(3 if i == 0 else 8, 8, 3, 1, 1), i + 1) for i in range(3)))
        self.fc = drawn(nn.Linear(512, CLASSES), 9)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        more = self.fc(self.deep(x).relu().flatten(1))
        logits: torch.Tensor = self.linear(x.flatten(1)) + self.weight * more
        return logits


class Whole(Large):
    """Looks at what is in a batch, and wants all of it at the end: it can be captured as little as left on the way."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if bool((x > 1e9).any()):
            raise ValueError("too large")
        return super().forward(x)


class Little(nn.Module):
    """The part of the large network that costs next to nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = drawn(nn.Linear(192, CLASSES), 0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.linear(x.flatten(1))
        return logits


class Other(Little):
    """The same weights under another name."""


def drawn(module: nn.Module, seed: int) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / max(1, parameter[0].numel()) ** 0.5)
    return module


def large() -> nn.Module:
    return Large().eval()


def little() -> nn.Module:
    return Little().eval()


def fresh() -> nn.Module:
    """The small network as its code makes it, before weights are loaded."""
    network = Little().train()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    return network
