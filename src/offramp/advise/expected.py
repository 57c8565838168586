"""What a build is expected to reach, read off what probes say: its own replay and search, on halves that swap roles."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from offramp import search
from offramp.arrays import Float
from offramp.decide import guarantees
from offramp.decide.replay import oracle_cost, replay
from offramp.deciding import allowance
from offramp.types import Configuration, CostProfile, ExitTable

NOTHING = 1e-12
"""What rounding may add to a loss."""


@dataclass(frozen=True)
class Expected:
    """An operating point that is expected, in the mean over both halves.

    Attributes:
        cost: mean MACs as a share of the plain model's.
        disagreement: share of samples answered otherwise than by the plain model.
        early: share of samples that leave early; None: of a point to which a learning curve was followed.
        time: by batch size, mean seconds as a share of the plain model's.
        overhead: by batch size, what asking the exits adds for who never leaves, as a share of the plain model's time.
        break_even: by batch size, the share of samples that has to leave early, spread over the exits as here, to be as
            fast as the plain model; None where none can, no exit is asked, or a learning curve was followed.
    """

    cost: float
    disagreement: float
    early: float | None
    time: dict[int, float]
    overhead: dict[int, float]
    break_even: dict[int, float | None]


@dataclass(frozen=True, eq=False)
class Half:
    """What probes say of two halves of the samples: one chooses, on the other it is read.

    Attributes:
        choose: scores and disagreement of the half that chooses.
        read: of the other one.
    """

    choose: ExitTable
    read: ExitTable

    def path(self, searcher: str, max_drop: float) -> list[Configuration]:
        """What a build's search finds, from dear to cheap."""
        return search.NAMES[searcher]().search(self.choose, allowance(self.choose, max_drop))


def chosen(half: Half, path: Sequence[Configuration], max_drop: float) -> Configuration:
    """The cheapest on a path that disagrees on at most so many of the samples that choose."""
    return cheapest(half.choose, path, max_drop)


def passing(half: Half, path: Sequence[Configuration], rate: float) -> Configuration:
    """The last on a path before more than `rate` of the other samples are answered otherwise, as a certificate goes."""
    found = path[0]
    for configuration in path:
        if float(replay(half.read, configuration).loss.mean()) > rate + NOTHING:
            break
        found = configuration
    return found


def cheapest(choose: ExitTable, path: Sequence[Configuration], rate: float) -> Configuration:
    """The cheapest on a path with a mean loss of at most `rate`; its first where none has."""
    taken = [(one, replay(choose, one)) for one in path]
    allowed = [(float(r.cost.mean()), i) for i, (_, r) in enumerate(taken) if float(r.loss.mean()) <= rate + NOTHING]
    return path[min(allowed)[1]] if allowed else path[0]


def certifiable(samples: int, max_drop: float, delta: float, guarantee: str) -> float | None:
    """The largest share of so many samples that may disagree and still be certified; None: not even none may.

    >>> certifiable(1000, 0.01, 0.1, "ltt"), certifiable(100, 0.01, 0.1, "ltt")
    (0.005, None)
    """
    prove = guarantees.NAMES[guarantee]().prove

    def passes(count: int) -> bool:
        epsilon = prove((np.arange(samples) < count).astype(np.float64)[None], max_drop, delta).epsilon[0]
        return epsilon is not None and epsilon <= max_drop * (1 + 1e-9)

    low, high = -1, int(max_drop * samples) + 1  # the last that passes, the first that does not
    if passes(high):
        return high / samples
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if passes(middle) else (low, middle)
    return None if low < 0 else low / samples


def expected(
    pairs: Sequence[tuple[Half, Configuration]], seconds: Sequence[CostProfile], macs: CostProfile
) -> Expected:
    """The mean over the halves of what each configuration does on the half that did not choose it.

    Args:
        pairs: each half with its configuration.
        seconds: a profile for each batch size.
        macs: costs in MACs.
    """
    each = [_read(half.read, configuration, seconds, macs) for half, configuration in pairs]
    sizes = [profile.batch_size for profile in seconds]
    return Expected(
        cost=float(np.mean([one.cost for one in each])),
        disagreement=float(np.mean([one.disagreement for one in each])),
        early=_mean([one.early for one in each]),
        time={size: float(np.mean([one.time[size] for one in each])) for size in sizes},
        overhead={size: float(np.mean([one.overhead[size] for one in each])) for size in sizes},
        break_even={size: _mean([one.break_even[size] for one in each]) for size in sizes},
    )


MOST = 2.0
"""A learning curve is followed at most so many times as far as it was seen, on a logarithmic scale."""


LEVELS = (0.5, 1.0, 2.0, 4.0)
"""Multiples of the goal at which a learning curve is read; at one alone it is mostly noise."""


def fall(few: Sequence[float], full: Sequence[float]) -> float:
    """By which share costs fall, in the mean over levels, from probes on a few samples to those on all; at least 0.

    >>> round(fall([0.8, 0.5], [0.6, 0.45]), 3), fall([0.5], [0.6])
    (0.175, 0.0)
    """
    return max(float(np.mean([(one - other) / one for one, other in zip(few, full, strict=True)])), 0.0)


def followed(point: Expected, by: float, factor: float, least: float) -> Expected:
    """What heads that learn from more samples are expected to do: costs fall by a share again and again.

    How many more leave early, or whether they leave earlier, a learning curve does not say.

    Args:
        point: what probes do that were fitted on all samples.
        by: the share by which costs fell from a few samples to all.
        factor: how far to go on, as a multiple of that way on a logarithmic scale; at most `MOST`.
        least: a cost below which it does not fall.

    Example:
        >>> round(followed(Expected(0.7, 0.01, 0.5, {1: 0.8}, {}, {}), 0.1, 2.0, 0.2).cost, 3)
        0.567
    """
    left = float((1.0 - by) ** min(max(factor, 0.0), MOST))
    if left == 1.0:
        return point

    def on(cost: float) -> float:
        return max(cost * left, min(least, cost))

    time = {size: on(share) for size, share in point.time.items()}
    return replace(point, cost=on(point.cost), time=time, early=None, break_even=dict.fromkeys(point.break_even))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _read(
    table: ExitTable, configuration: Configuration, seconds: Sequence[CostProfile], macs: CostProfile
) -> Expected:
    taken = replay(table, configuration)
    enabled = np.array(configuration.enabled, bool)
    share = np.bincount(taken.exit_index, minlength=table.exits) / table.samples

    def spent(profile: CostProfile) -> Float[np.ndarray, " exits"]:
        found: np.ndarray = profile.leaving(enabled) / profile.backbone
        return found

    by_size = {profile.batch_size: spent(profile) for profile in seconds}
    return Expected(
        cost=float(spent(macs) @ share),
        disagreement=float(taken.loss.mean()),
        early=float(1.0 - share[-1]),
        time={size: float(cost @ share) for size, cost in by_size.items()},
        overhead={size: float(cost[-1] - 1.0) for size, cost in by_size.items()},
        break_even={size: break_even(cost, share) for size, cost in by_size.items()},
    )


def break_even(leaving: Float[np.ndarray, " exits"], share: Float[np.ndarray, " exits"]) -> float | None:
    """The share of samples that has to leave early to spend as much as the plain model, 1; None where none can.

    Args:
        leaving: cost of leaving at each exit as a share of the plain model's, the last for who never leaves early.
        share: of the samples that leaves at each exit; only how it is spread over those that leave early counts.

    Example:
        >>> break_even(np.array([0.3, 1.1]), np.array([0.5, 0.5]))
        0.125
    """
    early = share[:-1].sum()
    if early == 0.0:
        return None
    over = leaving[-1] - 1.0
    saved = leaving[-1] - float(leaving[:-1] @ share[:-1] / early)
    return round(float(over / saved), 12) if 0.0 <= over < saved else None


def oracle(pairs: Sequence[Half]) -> float:
    """Cost share if each sample left at the first exit whose probe names the plain model's answer."""
    return float(np.mean([oracle_cost(half.read) for half in pairs]))
