"""What lies between two networks on a straight line: how far the loss rises there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offramp.errors import InputError


@dataclass(frozen=True)
class Barrier:
    """The highest rise on a line.

    Attributes:
        height: in the unit of the loss; at least 0.
        at: where, as a share of the way from the first end; 0 where there is none.
    """

    height: float
    at: float


def barrier(losses: Sequence[float]) -> Barrier:
    """How far the loss rises above the straight line between its ends: max_a L(a) - [(1 - a) L(0) + a L(1)].

    The definition is that of Entezari et al. 2022; of equal ends it is the error barrier of Frankle et al. 2020.

    Args:
        losses: at even steps from one end to the other, both with them.

    Raises:
        InputError: if there are fewer than three, or one is not finite.

    >>> barrier([1.0, 4.0, 3.0])
    Barrier(height=2.0, at=0.5)
    """
    found = np.asarray(losses, dtype=np.float64)
    if len(found) < 3 or not np.isfinite(found).all():
        raise InputError(f"expected at least three finite losses on a line, got {list(losses)}; look at finer steps")
    share = np.linspace(0.0, 1.0, len(found))
    rise = found - ((1.0 - share) * found[0] + share * found[-1])
    place = int(rise.argmax())
    return Barrier(max(0.0, float(rise[place])), float(share[place]) if rise[place] > 0.0 else 0.0)
