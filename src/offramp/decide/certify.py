"""What an operating point costs at most, proved on a split that chose nothing.

Learn then Test (Angelopoulos et al. 2021) as Jazbec et al. (NeurIPS 2024) use it for early exits: operating
points are tested along a path fixed before, and those that pass before the first failure keep their
certificate.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from offramp.decide.replay import above_backbone, excess
from offramp.errors import InputError, SplitReuseError
from offramp.scientific import scipy
from offramp.types import Bound, ExitTable, OperatingPoint

MAIN_SHARE = 0.7
"""Share of delta spent at the level asked for. At n = 1,000, epsilon = 1 % and delta = 0.1 it costs nothing:
5 losses have p = 0.066 and 6 have p = 0.129, so 0.07 certifies as many as 0.1 does."""

OTHER_LEVELS = (0.25, 0.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)
"""Other levels, as multiples of the one asked for, that share the rest of delta equally. They tell the user
what the points beyond the goal do cost, and which ones are safer than asked; coarse, since each level makes
the others dearer."""

EXACT = "LTT fixed sequence, exact binomial"
BOUNDED = "LTT fixed sequence, Hoeffding-Bentkus"
BY_CONSTRUCTION = "exact by construction: never leaves early"


def _special() -> Any:
    return scipy("special", "certificates")


def binomial_p_value(errors: int, n: int, epsilon: float) -> float:
    """P(Bin(n, epsilon) <= errors): exact p-value of "the risk exceeds epsilon" for losses in {0, 1}.

    Example:
        >>> round(binomial_p_value(5, 1000, 0.01), 3)
        0.066
    """
    return float(_special().bdtr(errors, n, epsilon))


def clopper_pearson_upper(errors: int, n: int, delta: float) -> float:
    """Upper bound on the probability of an error that holds with probability >= 1 - delta (Clopper and
    Pearson 1934).

    It is the smallest epsilon with `binomial_p_value(errors, n, epsilon) <= delta`.

    Example:
        >>> round(clopper_pearson_upper(5, 1000, 0.1), 4)
        0.0093
    """
    return 1.0 if errors >= n else float(_special().betaincinv(errors + 1, n - errors, 1.0 - delta))


def hoeffding_bentkus_p_value(mean: float, n: int, epsilon: float) -> float:
    """P-value of "the risk exceeds epsilon" for losses in [0, 1] with the given mean.

    min(exp(-n KL(min(mean, epsilon) || epsilon)), e P(Bin(n, epsilon) <= ceil(n mean))); Bates et al. 2021.

    Example:
        >>> round(hoeffding_bentkus_p_value(0.005, 1000, 0.01), 3)
        0.18
    """
    low, special = min(mean, epsilon), _special()
    divergence = special.rel_entr(low, epsilon) + special.rel_entr(1.0 - low, 1.0 - epsilon)
    # A mean k/n can come back as n mean = k + 1 ulp, which must not count as k + 1.
    ceiling = math.ceil(n * mean * (1.0 - 2.0**-50))
    return float(min(1.0, math.exp(-n * divergence), math.e * special.bdtr(ceiling, n, epsilon)))


def fixed_sequence(p_values: Iterable[float], delta: float) -> int:
    """Number of leading hypotheses rejected at `delta`: the last point certified is the one *before* the
    first failure.

    Taking the first that failed, as a released implementation does, breaks the guarantee. What comes after a
    failure is not looked at, however small its p-value.

    Example:
        >>> fixed_sequence([0.01, 0.04, 0.2, 0.03], delta=0.1)
        2
    """
    rejected = 0
    for p_value in p_values:
        if p_value > delta:
            break
        rejected += 1
    return rejected


def certify(
    points: Sequence[OperatingPoint], table: ExitTable, max_drop: float, delta: float
) -> tuple[OperatingPoint, ...]:
    """The same points, each with the smallest bound on its risk that `table` proves, or with `bound=None`.

    All bounds hold together with probability >= 1 - `delta` over the draw of the split, for further samples
    of the same distribution and no other. A ladder of levels around `max_drop` shares delta (weighted
    Bonferroni); at each level the points are tested in their order until the first failure. The risk is the
    mean excess loss over the backbone. A configuration that never leaves early has none, and needs no test.

    Args:
        points: a path fixed before `table` was seen, from the safest to the cheapest; a bad order costs
            power, not validity.
        table: a split used for nothing else.
        max_drop: the level wanted, a share in (0, 1].
        delta: probability that any of the bounds fails.

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
    binary = bool(np.isin(above_backbone(table).loss, (0.0, 1.0)).all())
    method = EXACT if binary else BOUNDED
    proved = _proved(points, table, _ladder(max_drop, delta), binary=binary)
    bounds = [
        None
        if epsilon is None
        else Bound(table.risk, epsilon, delta, method if epsilon else BY_CONSTRUCTION, table.samples)
        for epsilon in proved
    ]
    return tuple(dataclasses.replace(point, bound=bound) for point, bound in zip(points, bounds, strict=True))


def _proved(
    points: Sequence[OperatingPoint], table: ExitTable, ladder: Sequence[tuple[float, float]], *, binary: bool
) -> list[float | None]:
    """The smallest level at which each point passed; None where it passed at none."""
    leaves = [i for i, point in enumerate(points) if any(point.configuration.enabled)]
    lost = [float(excess(table, points[i].configuration).sum()) for i in leaves]
    proved: list[float | None] = [0.0] * len(points)
    for i in leaves:
        proved[i] = None
    for epsilon, share in sorted(ladder, reverse=True):
        p_values = (_p_value(total, table.samples, epsilon, binary=binary) for total in lost)
        for i in leaves[: fixed_sequence(p_values, share)]:
            proved[i] = epsilon
    return proved


def _p_value(total: float, n: int, epsilon: float, *, binary: bool) -> float:
    if binary:
        return binomial_p_value(round(total), n, epsilon)
    return hoeffding_bentkus_p_value(total / n, n, epsilon)


def _ladder(max_drop: float, delta: float) -> list[tuple[float, float]]:
    """Levels below 1, each with its share of delta; fixed by the goal alone, before any data."""
    others = [max_drop * multiple for multiple in OTHER_LEVELS if max_drop * multiple < 1.0]
    ladder = [(epsilon, (1.0 - MAIN_SHARE) * delta / len(others)) for epsilon in others]
    return [*ladder, (max_drop, MAIN_SHARE * delta)] if max_drop < 1.0 else ladder


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
