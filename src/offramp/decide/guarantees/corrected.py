"""Learn then Test with all points tested at once: what the corrections for that share."""

from collections.abc import Callable

import numpy as np

from offramp.arrays import Bool, Float
from offramp.decide.guarantees.guarantee import Proof
from offramp.decide.ladder import ladder, smallest_passed
from offramp.decide.p_values import Evidence

Correction = Callable[[Float[np.ndarray, " points"], float], Bool[np.ndarray, " points"]]
"""Which of several p-values are rejected together at a level."""


def corrected(
    losses: Float[np.ndarray, "points samples"], max_drop: float, delta: float, correction: Correction, name: str
) -> Proof:
    """The smallest level that each point passes by the correction, levels sharing delta as `ladder` says."""
    evidence = Evidence.of(losses)
    found = smallest_passed(
        ladder(max_drop, delta),
        losses.shape[0],
        lambda epsilon, share: correction(np.array(list(evidence.p_values(epsilon)), dtype=np.float64), share),
    )
    return Proof(found, f"LTT with {name} over {losses.shape[0]} points, {evidence.test}", delta)
