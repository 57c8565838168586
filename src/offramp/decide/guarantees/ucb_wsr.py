"""Upper confidence bounds by betting, along a path."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from offramp.arrays import Float
from offramp.decide.betting import betting_p_value
from offramp.decide.guarantees.guarantee import Proof
from offramp.decide.ladder import ladder, leading, smallest_passed
from offramp.decide.multiple import fixed_sequence

METHOD = "WSR betting bound, fixed sequence"


@dataclass(frozen=True, slots=True)
class BettingBound:
    """The bound of Waudby-Smith and Ramdas, at each point and at all safer ones below the level (Jazbec et al., 2024).

    As published, the cheapest such point is safe where the *mean* risk rises along the path. Here the bound is compared
    with levels that the goal fixes beforehand, and at each of them the points are a fixed sequence of tests, so that
    assumption is not needed: all limits hold together with probability >= 1 - delta on any path.

    Losses may be negative. Where labels exist the risk is the gap 1[exit wrong] - 1[backbone wrong], the loss of
    accuracy itself, in which answers that the exit alone gets right count as gains.

    Bets are made one after the other, so the samples must come in random order, which those of a split do not: they are
    shuffled first.

    Attributes:
        signed: whether the gap is bounded where labels exist, or the part of it above 0.
        seed: of the order in which samples are bet on.

    Example:
        >>> losses = (np.arange(1000) < np.array([[0], [2], [30]])).astype(float)
        >>> BettingBound().prove(losses, max_drop=0.01, delta=0.1).epsilon
        (0.01, 0.01, 0.1)
    """

    signed: bool = True
    seed: int = 0

    def prove(self, losses: Float[np.ndarray, "points samples"], max_drop: float, delta: float) -> Proof:
        """The smallest level that the bounds of each point and of all before it do not exceed."""
        points, n = losses.shape
        order = np.random.default_rng(self.seed).permutation(n)

        def p_values(epsilon: float, share: float) -> Iterator[float]:
            return (betting_p_value(loss[order], epsilon, share) for loss in losses)

        found = smallest_passed(
            ladder(max_drop, delta),
            points,
            lambda epsilon, share: leading(fixed_sequence(p_values(epsilon, share), share), points),
        )
        return Proof(found, METHOD, delta)
