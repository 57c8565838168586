"""All points tested at once, each at its share of delta."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from offramp.arrays import Float
from offramp.decide.guarantees.corrected import corrected
from offramp.decide.guarantees.guarantee import Proof
from offramp.decide.multiple import bonferroni


@dataclass(frozen=True, slots=True)
class Bonferroni:
    """Learn then Test with Bonferroni's correction over the points: the order of the points does not matter.

    For points that lie on no path, few of them: each makes the others dearer. `ltt-holm` proves no less.

    Example:
        >>> losses = (np.arange(1000) < np.array([[30], [3], [0]])).astype(float)
        >>> Bonferroni().prove(losses, max_drop=0.01, delta=0.1).epsilon
        (0.1, 0.01, 0.01)
    """

    signed: ClassVar[bool] = False

    def prove(self, losses: Float[np.ndarray, "points samples"], max_drop: float, delta: float) -> Proof:
        """The smallest level that each point passes at the share of delta divided by the number of points."""
        return corrected(losses, max_drop, delta, bonferroni, "Bonferroni")
