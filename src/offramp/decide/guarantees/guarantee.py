"""The interface of a guarantee."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from offramp.arrays import Float


@dataclass(frozen=True, slots=True)
class Proof:
    """What was proved of the points of a path.

    Attributes:
        epsilon: the smallest level proved of each point; None where nothing was.
        method: how, in words.
        delta: probability that any of them fails; None where they hold on average over draws of the split, which says
            nothing of the one at hand.
    """

    epsilon: tuple[float | None, ...]
    method: str
    delta: float | None


@runtime_checkable
class Guarantee(Protocol):
    """Proves upper limits of the risk of points from their losses on a split that chose nothing."""

    @property
    def signed(self) -> bool:
        """Whether losses below 0 count as what they are: where labels exist, the risk is then the gap."""
        ...

    def prove(self, losses: Float[np.ndarray, "points samples"], max_drop: float, delta: float) -> Proof:
        """The smallest limit of the mean loss of each point.

        Args:
            losses: of each point on each sample, at most 1 and, unless `signed`, not below 0; the points in an order
                fixed before they were seen, from the safest to the cheapest. The samples are independent draws, in
                any order.
            max_drop: the level wanted, in (0, 1].
            delta: probability that any of the limits fails, in (0, 1).
        """
        ...
