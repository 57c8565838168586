"""Optimizers and learning rate schedules by name, as data; any callable of the same kind does as well."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from offramp.errors import InputError, UnknownNameError

MakeOptimiser = Callable[[Iterable[Any]], torch.optim.Optimizer]
"""Makes an optimizer over what learns in a phase: parameters, or groups of them as torch takes them."""

MakeSchedule = Callable[[torch.optim.Optimizer, int], LRScheduler]
"""Makes a schedule over so many steps; it is stepped after every step of the optimizer."""

LENGTH = {
    "CosineAnnealingLR": "T_max",
    "LinearLR": "total_iters",
    "OneCycleLR": "total_steps",
    "PolynomialLR": "total_iters",
}
"""What schedules call the number of steps."""

Settings = tuple[tuple[str, Any], ...]
"""Keyword arguments, frozen."""


@dataclass(frozen=True)
class Optimiser:
    """A class of `torch.optim` with its keyword arguments.

    >>> optimiser("SGD", lr=0.1)([nn.Parameter(torch.zeros(2))]).defaults["lr"]
    0.1
    """

    name: str
    settings: Settings = ()

    def __post_init__(self) -> None:
        if not isinstance(getattr(torch.optim, self.name, None), type):
            raise UnknownNameError(f"expected an optimizer of torch.optim, got {self.name!r}; AdamW is one")

    def __call__(self, parameters: Iterable[Any]) -> torch.optim.Optimizer:
        """The optimizer over these parameters."""
        made: torch.optim.Optimizer = getattr(torch.optim, self.name)(parameters, **dict(self.settings))
        return made


@dataclass(frozen=True)
class Schedule:
    """A class of `torch.optim.lr_scheduler` with its keyword arguments; its length is that of the phase.

    Milestones (`MultiStepLR`) are shares of the phase: SDN's 35, 60 and 85 of 100 epochs are .35, .60 and .85.
    """

    name: str
    settings: Settings = ()

    def __post_init__(self) -> None:
        found = getattr(torch.optim.lr_scheduler, self.name, None)
        if not isinstance(found, type) or not issubclass(found, LRScheduler) or self.name == "ReduceLROnPlateau":
            raise UnknownNameError(
                f"expected a schedule of torch.optim.lr_scheduler that is stepped without a loss, got {self.name!r}; "
                "CosineAnnealingLR is one"
            )

    def __call__(self, optimizer: torch.optim.Optimizer, steps: int) -> LRScheduler:
        """The schedule over so many steps."""
        settings = dict(self.settings)
        if self.name in LENGTH:
            settings.setdefault(LENGTH[self.name], steps)
        if "milestones" in settings:
            shares = settings["milestones"]
            if not all(0 < share < 1 for share in shares):
                raise InputError(f"expected milestones as shares of the phase in (0, 1), got {shares}")
            settings["milestones"] = [round(share * steps) for share in shares]
        made: LRScheduler = getattr(torch.optim.lr_scheduler, self.name)(optimizer, **settings)
        return made


def optimiser(name: str, **settings: Any) -> Optimiser:
    """The optimizer of that name; what the keyword arguments do is in torch's documentation."""
    return Optimiser(name, tuple(sorted(settings.items())))


def grouped(
    make: MakeOptimiser, backbone: Sequence[nn.Parameter], heads: Sequence[nn.Parameter], head_rate: float
) -> torch.optim.Optimizer:
    """The optimizer over both, heads at a multiple of its learning rate.

    >>> both = [[nn.Parameter(torch.zeros(2))], [nn.Parameter(torch.zeros(2))]]
    >>> [group["lr"] for group in grouped(optimiser("SGD", lr=0.5), *both, head_rate=4.0).param_groups]
    [0.5, 2.0]
    """
    if head_rate == 1.0 or not heads or not backbone:
        made = make([*backbone, *heads])
        fast = made.param_groups if heads else []
    else:
        made = make([{"params": list(backbone)}, {"params": list(heads)}])
        fast = made.param_groups[1:]
    for group in fast:
        group["lr"] *= head_rate
    return made


def schedule(name: str, **settings: Any) -> Schedule:
    """The schedule of that name; what the keyword arguments do is in torch's documentation.

    >>> schedule("MultiStepLR", milestones=(0.35, 0.6, 0.85)).name
    'MultiStepLR'
    """
    return Schedule(name, tuple(sorted(settings.items())))
