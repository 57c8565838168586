"""All points tested at once, the likeliest first."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from offramp.arrays import Float
from offramp.decide.guarantees.corrected import corrected
from offramp.decide.guarantees.guarantee import Proof
from offramp.decide.multiple import holm


@dataclass(frozen=True, slots=True)
class Holm:
    """Learn then Test with Holm's correction over the points: the order of the points does not matter.

    For points that lie on no path, such as those of a search over all thresholds; along a path `ltt` proves more.

    Example:
        >>> losses = (np.arange(1000) < np.array([[30], [3], [0]])).astype(float)
        >>> Holm().prove(losses, max_drop=0.01, delta=0.1).epsilon
        (0.05, 0.01, 0.01)
    """

    signed: ClassVar[bool] = False

    def prove(self, losses: Float[np.ndarray, "points samples"], max_drop: float, delta: float) -> Proof:
        """The smallest level at which Holm's procedure rejects that the risk of the point is larger."""
        return corrected(losses, max_drop, delta, holm, "Holm")
