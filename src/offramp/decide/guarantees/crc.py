"""The risk on average over draws of the split, and not with any probability."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from offramp.arrays import Float
from offramp.decide.guarantees.guarantee import Proof
from offramp.decide.ladder import ladder, smallest_passed

METHOD = "conformal risk control, on average"


@dataclass(frozen=True, slots=True)
class ConformalRisk:
    """Conformal risk control (Angelopoulos et al. 2024): E[risk of the cheapest point of a level] <= the level.

    The mean is over draws of the split that proves and of the next sample. On the split at hand the risk may well be
    larger, about every second time; who needs it to hold here and now takes another guarantee. `delta` is not used.
    Each level holds by itself, for the cheapest point that passed it and for those before it.

    It needs losses that never fall along the path; those of early exits can, so each is replaced by the largest
    one up to there on the path, which bounds it. A level below 1 / (samples + 1) cannot be proved.

    Example:
        >>> losses = (np.arange(1000) < np.array([[0], [9], [30]])).astype(float)
        >>> ConformalRisk().prove(losses, max_drop=0.01, delta=0.1).epsilon
        (0.0025, 0.01, 0.05)
    """

    signed: ClassVar[bool] = False

    def prove(self, losses: Float[np.ndarray, "points samples"], max_drop: float, delta: float) -> Proof:
        """The smallest level at which the mean of the running maxima is at most ((n + 1) level - 1) / n."""
        points, n = losses.shape
        total = np.maximum.accumulate(np.clip(losses, 0.0, 1.0), axis=0).sum(axis=1)
        found = smallest_passed(ladder(max_drop, delta), points, lambda epsilon, _: total <= (n + 1) * epsilon - 1.0)
        return Proof(found, METHOD, None)
