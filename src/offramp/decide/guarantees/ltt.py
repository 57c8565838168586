"""Points tested along a path until the first failure: the default."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from offramp.arrays import Float
from offramp.decide.guarantees.guarantee import Proof
from offramp.decide.ladder import ladder, leading, smallest_passed
from offramp.decide.multiple import fixed_sequence
from offramp.decide.p_values import Evidence


@dataclass(frozen=True, slots=True)
class LearnThenTest:
    """Learn then Test (Angelopoulos et al. 2021) as Jazbec et al. (NeurIPS 2024) use it for early exits.

    At each level of the ladder the points are tested in their order, and those that pass before the first failure keep
    it. All limits hold together with probability >= 1 - delta. Nothing is assumed of the path: a bad order costs power,
    not validity. Losses of 0 and 1 are tested exactly, others by Hoeffding and Bentkus.

    Example:
        >>> losses = (np.arange(1000) < np.array([[0], [5], [30]])).astype(float)
        >>> LearnThenTest().prove(losses, max_drop=0.01, delta=0.1).epsilon
        (0.01, 0.01, 0.05)
    """

    signed: ClassVar[bool] = False

    def prove(self, losses: Float[np.ndarray, "points samples"], max_drop: float, delta: float) -> Proof:
        """The smallest level that each point and all before it pass."""
        evidence, points = Evidence.of(losses), losses.shape[0]
        found = smallest_passed(
            ladder(max_drop, delta),
            points,
            lambda epsilon, share: leading(fixed_sequence(evidence.p_values(epsilon), share), points),
        )
        return Proof(found, f"LTT fixed sequence, {evidence.test}", delta)
