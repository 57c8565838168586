"""Targets of any scale: heads learn on standardised ones, which their last layer absorbs."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Num

from offramp.heads.head import Head
from offramp.train.regime import Regime


@runtime_checkable
class OfValues(Regime, Protocol):
    """A regime whose targets are values with a unit; outputs are values, then the logarithms of their spreads."""

    def targets(
        self, backbone: Float[torch.Tensor, "batch outputs"], labels: Num[torch.Tensor, "batch values"] | None
    ) -> Num[torch.Tensor, "batch values"]:
        """What heads should say."""
        ...


@dataclass(frozen=True, eq=False)
class Scaled:
    """Values are learned as `(value - mean) * scale`.

    Attributes:
        mean: of each value, in double precision, since it may dwarf the deviation.
        scale: 1 / standard deviation; 1 where a value is always the same.
    """

    mean: Float[torch.Tensor, " values"]
    scale: Float[torch.Tensor, " values"]

    @classmethod
    def of(cls, targets: Num[torch.Tensor, "samples values"]) -> "Scaled":
        """What standardises these."""
        wide = targets.double()
        deviation = wide.std(dim=0, correction=0)
        return cls(wide.mean(dim=0), torch.where(deviation > 0.0, 1.0 / deviation.clamp_min(1e-300), 1.0))

    def values(self, values: Num[torch.Tensor, "batch values"]) -> Float[torch.Tensor, "batch values"]:
        """Standardised, in single precision."""
        return ((values.double() - self.mean) * self.scale).float()

    def outputs(self, output: Float[torch.Tensor, "batch outputs"]) -> Float[torch.Tensor, "batch outputs"]:
        """An output of the backbone: its values standardised, its spreads in the same unit."""
        count = len(self.mean)
        spread = output[:, count:].double() + self.scale.log()
        return torch.cat([self.values(output[:, :count]), spread.float()], dim=1)

    def into(self, head: Head) -> None:
        """Makes a head that says standardised values one that says them in their unit."""
        head.absorb_outputs(self.mean, self.scale)

    def out_of(self, head: Head) -> None:
        """The other way round, for a head that was trained before."""
        head.absorb_outputs(-self.mean * self.scale, 1.0 / self.scale)
