"""Alternatives at equal quality: what each costs where it answers as well as another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from offramp.decide.pareto import nondominated

Curve = Sequence[tuple[float, float]]
"""(quality, cost) of ways to run one thing: quality is accuracy or agreement, a share; cost a share of the plain
model's."""

MACS = "MACs"
"""Names the measure that takes no time to measure."""


@dataclass(frozen=True)
class Equal:
    """What each alternative costs where it answers as well as a point of the exits.

    Attributes:
        way: the point.
        quality: its accuracy, or agreement without labels.
        measure: what costs are told in: `MACs`, or time at a batch size.
        own: its cost, as a share of the plain model's.
        others: by alternative, the least cost at that quality; None where it is not reached.
    """

    way: str
    quality: float
    measure: str
    own: float
    others: Mapping[str, float | None]


def cost_at(curve: Curve, quality: float) -> float | None:
    """The least cost at which a family reaches a quality; None where it does not.

    Between two of its points lies what sending each sample to one of the two at random reaches, so the points that
    nothing else beats are joined by straight lines.

    Example:
        >>> some = [(0.90, 0.3), (0.94, 0.7), (0.93, 0.9)]
        >>> round(cost_at(some, 0.92), 3), cost_at(some, 0.85), cost_at(some, 0.95)
        (0.5, 0.3, None)
    """
    if not curve:
        return None
    qualities, costs = (np.array(values, np.float64) for values in zip(*curve, strict=True))
    kept = nondominated(costs, 1.0 - qualities)  # by rising cost, and so by rising quality
    q, c = qualities[kept], costs[kept]
    if quality > q[-1] + 1e-12:
        return None
    return float(np.interp(quality, q, c))


def read_off(curve: Curve, quality: float) -> float | None:
    """The least cost among the points themselves whose quality is no less; None where there is none.

    >>> read_off([(0.90, 0.3), (0.94, 0.7)], 0.92)
    0.7
    """
    return min((cost for own, cost in curve if own >= quality - 1e-12), default=None)
