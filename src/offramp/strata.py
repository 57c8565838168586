"""Certificates for some of the samples: of alarms, the share of those that are missed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from offramp.arrays import Bool
from offramp.decide.certify import certify
from offramp.decide.guarantees.guarantee import Guarantee
from offramp.types import Bound, ExitTable, OperatingPoint


def further_bounds(
    points: Sequence[OperatingPoint],
    table: ExitTable,
    strata: Mapping[str, Bool[np.ndarray, " samples"]],
    max_drop: float,
    delta: float,
    guarantee: Guarantee,
) -> list[tuple[Bound, ...]]:
    """Of each point the bounds on the loss among the samples of each stratum, as far as any is proved.

    The samples of a stratum are draws of its own distribution, so what `certify` proves of them holds given that a
    sample is one of it. The bounds of one stratum hold together with probability 1 - delta, whatever the others do.

    Args:
        points: a path fixed before `table` was seen, from the safest to the cheapest.
        table: a split used for nothing else.
        strata: by the name of the risk, which samples it is about; one without samples proves nothing.
        max_drop: the level wanted, in (0, 1].
        delta: probability that any bound of a stratum fails.
        guarantee: what is proved, and how.
    """
    found: list[list[Bound]] = [[] for _ in points]
    for name, rows in strata.items():
        if not rows.any():
            continue
        reference = None if table.reference is None else table.reference[rows]
        part = replace(table, score=table.score[:, rows], loss=table.loss[:, rows], risk=name, reference=reference)
        for bounds, point in zip(found, certify(points, part, max_drop, delta, guarantee), strict=True):
            if point.bound is not None:
                bounds.append(point.bound)
    return [tuple(bounds) for bounds in found]
