"""One process, or several that train one network together."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

from offramp.errors import InputError


@runtime_checkable
class Devices(Protocol):
    """What the loop asks of the processes that run it."""

    @property
    def rank(self) -> int:
        """Number of this process."""
        ...

    @property
    def ranks(self) -> int:
        """How many there are."""
        ...

    def place(self, network: nn.Module) -> torch.device:
        """Moves the network to this process's device, and says which that is."""
        ...

    def mean(self, tensors: Iterable[torch.Tensor]) -> None:
        """Replaces each tensor by its mean over the processes; all hold the same list."""
        ...

    def wait(self) -> None:
        """Until all processes are here."""
        ...


@dataclass(frozen=True)
class Alone:
    """One process, on the device of the user's model."""

    rank: int = 0
    ranks: int = 1

    def place(self, network: nn.Module) -> torch.device:
        """Where the network is already."""
        return next(network.parameters()).device

    def mean(self, tensors: Iterable[torch.Tensor]) -> None:
        """Nothing to do."""

    def wait(self) -> None:
        """Nothing to do."""


@dataclass(frozen=True, eq=False)
class Several:
    """The processes that `accelerate launch` started. Each takes its share of every batch; gradients are averaged.

    The network is not wrapped: what learns differs between phases, and which heads take part between steps.
    """

    accelerator: Any

    @property
    def rank(self) -> int:
        """Number of this process."""
        return int(self.accelerator.process_index)

    @property
    def ranks(self) -> int:
        """How many there are."""
        return int(self.accelerator.num_processes)

    def place(self, network: nn.Module) -> torch.device:
        """Moves the network to this process's device."""
        device: torch.device = self.accelerator.device
        network.to(device)
        return device

    def mean(self, tensors: Iterable[torch.Tensor]) -> None:
        """Replaces each tensor by its mean over the processes, in one message."""
        found = list(tensors)
        if not found:
            return
        flat = self.accelerator.reduce(torch.cat([tensor.detach().float().flatten() for tensor in found]), "mean")
        for tensor, part in zip(found, flat.split([tensor.numel() for tensor in found]), strict=True):
            tensor.detach().copy_(part.view_as(tensor))

    def wait(self) -> None:
        """Until all processes are here."""
        self.accelerator.wait_for_everyone()


def several(**options: Any) -> Several:
    """The processes that `accelerate launch` (or torchrun) started.

    Args:
        options: of `accelerate.Accelerator`; `cpu=True` keeps to the processor.

    Raises:
        InputError: if accelerate is not installed.
    """
    if find_spec("accelerate") is None:
        raise InputError("expected accelerate for several devices, got none; run pip install 'offramp[train]'")
    from accelerate import Accelerator

    return Several(Accelerator(**options))
