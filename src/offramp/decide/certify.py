"""What an operating point costs at most, proved on a split that chose nothing."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from offramp.decide.guarantees.guarantee import Guarantee
from offramp.decide.guarantees.ltt import LearnThenTest
from offramp.decide.replay import excess, gap
from offramp.errors import InputError, SplitReuseError
from offramp.types import Bound, ExitTable, OperatingPoint

BY_CONSTRUCTION = "exact by construction: never leaves early"

DEFAULT = LearnThenTest()


def certify(
    points: Sequence[OperatingPoint],
    table: ExitTable,
    max_drop: float,
    delta: float,
    guarantee: Guarantee = DEFAULT,
) -> tuple[OperatingPoint, ...]:
    """The same points, each with the smallest bound on its risk that `table` proves, or with `bound=None`.

    The guarantee says what the bounds mean: by default they all hold together with probability >= 1 - `delta` over
    the draw of the split. They are about further samples of the same distribution and no other. The risk is the
    mean excess loss over the backbone; where there are labels and the guarantee takes negative losses, it is the gap. A
    configuration that never leaves early has none, and needs no test; unless drops are held against another model than
    the last exit (`table.reference`): then it is tested like the others, and no point promises more than it, since it
    takes over where leaving early does not pay.

    Args:
        points: a path fixed before `table` was seen, from the safest to the cheapest; a bad order costs
            power, not validity.
        table: a split used for nothing else.
        max_drop: the level wanted, a share in (0, 1].
        delta: probability that any of the bounds fails.
        guarantee: what is proved, and how.

    Example:
        >>> from offramp.decide.replay import operating_point
        >>> from offramp.testing.searchers import random_table
        >>> from offramp.types import Configuration
        >>> path = [operating_point(random_table(seed=0), Configuration.full(3), "full")]
        >>> fresh = dataclasses.replace(random_table(seed=1), split="certify")
        >>> certify(path, fresh, max_drop=0.01, delta=0.1)[0].bound.epsilon
        0.0
    """
    _check(points, table, max_drop, delta)
    signed = guarantee.signed and table.risk == "error"
    lost, risk = (gap, "gap") if signed else (excess, table.risk)
    stays = [not any(point.configuration.enabled) for point in points]
    tested = [i for i, whole in enumerate(stays) if table.reference is not None or not whole]
    losses = np.empty((len(tested), table.samples))
    for row, i in enumerate(tested):
        losses[row] = lost(table, points[i].configuration)
    proof = guarantee.prove(losses, max_drop, delta)
    least = max((_level(epsilon) for i, epsilon in zip(tested, proof.epsilon, strict=True) if stays[i]), default=0.0)
    bounds: list[Bound | None] = [Bound(risk, 0.0, proof.delta, BY_CONSTRUCTION, table.samples)] * len(points)
    for i, epsilon in zip(tested, proof.epsilon, strict=True):
        proved = max(least, _level(epsilon))
        bounds[i] = None if proved > 1.0 else Bound(risk, proved, proof.delta, proof.method, table.samples)
    return tuple(dataclasses.replace(point, bound=bound) for point, bound in zip(points, bounds, strict=True))


def _level(epsilon: float | None) -> float:
    """Infinite where nothing is proved."""
    return np.inf if epsilon is None else epsilon


def _check(points: Sequence[OperatingPoint], table: ExitTable, max_drop: float, delta: float) -> None:
    if not 0.0 < max_drop <= 1.0 or not 0.0 < delta < 1.0:
        raise InputError(
            f"expected max_drop in (0, 1] and delta in (0, 1), got {max_drop} and {delta}; write 1 % as 0.01"
        )
    if table.split.startswith("train") or any(point.split == table.split for point in points):
        raise SplitReuseError(
            f"expected a split that neither trained nor chose anything, got {table.split!r}; "
            "record the exits on samples kept aside for the certificate"
        )
