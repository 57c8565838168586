"""Small networks that are awkward to capture, each for a reason of its own."""

from collections.abc import Callable

import torch
from torch import nn

Middle = Callable[["Awkward", torch.Tensor], torch.Tensor]


class Awkward(nn.Module):
    """(B, 4) to (B, 3), with `middle` between its layers."""

    count: torch.Tensor

    def __init__(self, middle: Middle) -> None:
        super().__init__()
        self.middle = middle
        self.one, self.two, self.three = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.last = nn.Linear(8, 3)
        self.dropout = nn.Dropout(0.5)
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.middle(self, self.one(x))
        x = self.middle(self, self.two(x))
        x = self.middle(self, self.three(x)).relu()
        logits: torch.Tensor = self.last(x)
        return logits


def awkward(middle: Middle) -> Awkward:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Awkward(middle).eval()


def statement(_: Awkward, x: torch.Tensor) -> torch.Tensor:
    x.clamp_(0)
    return x


def on_a_view(_: Awkward, x: torch.Tensor) -> torch.Tensor:
    x[:, :4].mul_(3.0)
    return x


def seen_through_a_view(_: Awkward, x: torch.Tensor) -> torch.Tensor:
    view = x.view(-1, 2, 4)
    x += 1
    return view.flatten(1)


def one_entry(_: Awkward, x: torch.Tensor) -> torch.Tensor:
    x[:, 2] = 5.0
    return x


def by_condition(_: Awkward, x: torch.Tensor) -> torch.Tensor:
    x[x < 0] = 0.25
    return x


def into_new_memory(_: Awkward, x: torch.Tensor) -> torch.Tensor:
    y = torch.zeros(x.shape[0], 8)
    y[:, 1:5] = x[:, :4]
    return y + x


def several_at_once(_: Awkward, x: torch.Tensor) -> torch.Tensor:
    torch._foreach_add_([x], 1.0)
    return x


def old_name_after_activation(_: Awkward, x: torch.Tensor) -> torch.Tensor:
    flat = x.view(-1)
    torch.relu_(flat)
    return x * 2.0


MUTATING: tuple[Middle, ...] = (
    statement,
    on_a_view,
    seen_through_a_view,
    one_entry,
    by_condition,
    into_new_memory,
    several_at_once,
    old_name_after_activation,
)


def through_dropout(net: Awkward, x: torch.Tensor) -> torch.Tensor:
    """In eval mode dropout returns its own input, which no exporter tells."""
    other = net.dropout(x)
    other.add_(1.0)
    return x


def counting(net: Awkward, x: torch.Tensor) -> torch.Tensor:
    net.count += 1.0
    return x + net.count


def flattened_batch(_: Awkward, x: torch.Tensor) -> torch.Tensor:
    """Batch and features mixed and parted again: the batch size is needed on the way."""
    batch = x.shape[0]
    rows = x.reshape(batch * 2, 4).softmax(1)
    return rows.view(batch, 8) + torch.ones(1, 8).expand(batch, 8)


def constants(_: Awkward, x: torch.Tensor) -> torch.Tensor:
    ramp = torch.arange(8, dtype=torch.float32)
    return x * torch.tensor([1.0, 2.0] * 4) + ramp + torch.zeros(x.shape[0], 8)


def halves(_: Awkward, x: torch.Tensor) -> torch.Tensor:
    left, right = x.chunk(2, dim=1)
    return torch.cat([right, left * torch.sigmoid(right)], dim=1)


SHAPING: tuple[Middle, ...] = (flattened_batch, constants, halves)
