"""How fast a multi-exit model really is: back ends, batch sizes and operating points, interleaved in one process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float

from offramp.decide.rule import rule as rule_of
from offramp.errors import InputError, OfframpError
from offramp.progress import Progress, silent
from offramp.run.loop import Plan
from offramp.run.stage_seconds import ExecutorFor
from offramp.run.timing import interleaved
from offramp.run.tuning import UNCUT as NOBODY
from offramp.run.tuning import fastest, times_of, tuned, uncut
from offramp.run.watched import Watched
from offramp.types import Configuration, CostProfile

UNCUT, OFF = "uncut", "exits-off"
"""The plain backbone, and the most exits that a point has, asked though nobody may leave."""

PLANNED = "planned"
"""Ends the name of a point in whose place the fastest plan is used that promises no less, by a measurement on other
batches; the uncut model is always one."""


@dataclass(frozen=True)
class SpeedRow:
    """One cell of the grid.

    Attributes:
        backend: what it ran on.
        precision: of the arithmetic.
        threads: how many.
        batch: samples at a time.
        point: an operating point, the same as planned, `uncut` or `exits-off`.
        ms: median milliseconds per batch.
        ratio_to_uncut: median time as a share of the uncut model's on the same back end.
        ratio_to_best: median time as a share of the uncut model's on the back end where that is fastest.
        ideal_ratio: mean backbone MACs of the samples that were run, as a share of the whole.
        achieved: saved time as a share of saved MACs; None where no MACs were saved.
        noise: standard error of `ratio_to_uncut` over rounds.
        break_even: which share has to leave early to be as fast as uncut; None where none can be said.
        p50, p95, p99: milliseconds within which that percentage of the batches was done.
    """

    backend: str
    precision: str
    threads: int
    batch: int
    point: str
    ms: float
    ratio_to_uncut: float
    ratio_to_best: float
    ideal_ratio: float
    achieved: float | None
    noise: float
    break_even: float | None
    p50: float
    p95: float
    p99: float

    @property
    def is_plain(self) -> bool:
        """Whether it is of the plain model."""
        return self.point == UNCUT


@dataclass(frozen=True)
class Backend:
    """What is timed.

    Attributes:
        name: of the back end.
        precision: of its arithmetic.
        make: makes the executor of a set of enabled exits.
        plain: whether the uncut model alone is timed, for comparison.
    """

    name: str
    precision: str
    make: ExecutorFor
    plain: bool = False


def grid(
    backends: Sequence[Backend],
    points: Mapping[str, Configuration],
    point_of: Sequence[int],
    cost: CostProfile,
    rounds: Mapping[int, Sequence[Sequence[Any]]],
    threads: int,
    promises: Mapping[str, float] | None = None,
    progress: Progress = silent,
    rule: str = "direct",
) -> list[SpeedRow]:
    """The grid of a model.

    Args:
        backends: what to run on.
        points: the operating points to run.
        point_of: for each exit, the number of its exit point.
        cost: in MACs, for the ideal.
        rounds: per batch size the batches of each round; the first third decides what is planned.
        threads: how many the back ends use, for the record.
        promises: the bounds of the points that have one, which say what may be planned in whose place.
        progress: told about every back end and batch size.
        rule: how scores decide, by name.

    Raises:
        InputError: if there are fewer than four rounds, two to plan by and two to time.
    """
    if min((len(some) for some in rounds.values()), default=4) < 4:
        raise InputError("expected at least 4 rounds, two to plan by and two to time; give more")
    rows: list[SpeedRow] = []
    for done, backend in enumerate(backends):
        try:
            plans = _plans(backend, points, point_of, rule)
        except OfframpError:
            if not backend.plain:
                raise
            continue  # only for comparison, and it cannot run this model
        for step, some in enumerate(rounds.values()):
            rows += _rows(backend, plans, list(points), some, cost, threads, promises or {})
            progress(f"timing {backend.name}", done * len(rounds) + step + 1, len(backends) * len(rounds))
    return _beside_best(rows)


def _plans(
    backend: Backend, points: Mapping[str, Configuration], point_of: Sequence[int], rule: str
) -> dict[str, Plan]:
    full = Configuration.full(len(point_of))
    asked = {UNCUT: full}
    if not backend.plain and points:
        most = max((point.enabled for point in points.values()), key=sum)
        asked |= {OFF: Configuration(most, (float("inf"),) * len(point_of)), **points}
    made = cache(backend.make)
    by = rule_of(rule)
    return {name: Plan.of(c, point_of, made(c.enabled), by) for name, c in asked.items()}


def _rows(
    backend: Backend,
    plans: Mapping[str, Plan],
    points: Sequence[str],
    rounds: Sequence[Sequence[Any]],
    cost: CostProfile,
    threads: int,
    promises: Mapping[str, float],
) -> list[SpeedRow]:
    """The rows of a back end at a batch size."""
    first = max(len(rounds) // 3, 2)
    given, size = rounds[first:], plans[UNCUT].executor.samples(rounds[0][0])
    everything = dict(plans)
    if not backend.plain:
        everything |= _planned({name: plans[name] for name in points}, rounds[:first], promises)
    watched = {name: Watched(plan) for name, plan in everything.items()}
    timing = interleaved(watched, given)
    rows = []
    for name in everything:
        ratio, ideal = timing.ratio(name, UNCUT), _ideal(watched[name].share, cost)
        p50, p95, p99 = (1e3 * timing.quantile(name, share) for share in (0.5, 0.95, 0.99))
        rows.append(
            SpeedRow(
                backend=backend.name,
                precision=backend.precision,
                threads=threads,
                batch=size,
                point=name,
                ms=1e3 * float(np.median(timing.seconds(name))) / len(given[0]),
                ratio_to_uncut=ratio,
                ratio_to_best=1.0,
                ideal_ratio=ideal,
                achieved=(1 - ratio) / (1 - ideal) if ideal < 1 else None,
                noise=timing.noise(name, UNCUT),
                break_even=_break_even(watched[name], given[0], ratio) if name in points else None,
                p50=p50,
                p95=p95,
                p99=p99,
            )
        )
    return rows


def _planned(
    plans: Mapping[str, Plan], rounds: Sequence[Sequence[Any]], promises: Mapping[str, float]
) -> dict[str, Plan]:
    """For each point the fastest plan that promises no less, or the uncut model."""
    found, planned = tuned(plans, rounds), dict[str, Plan]()
    for name, plan in plans.items():
        bound = promises.get(name)
        others = [other for other in plans if bound is not None and promises.get(other, np.inf) <= bound]
        best = fastest(found, list(dict.fromkeys([name, *others])))
        planned[f"{name}, {PLANNED}"] = uncut(plan) if best == NOBODY else plans[best]
    return planned


def _break_even(watched: Watched, batches: Sequence[Any], ratio: float) -> float | None:
    return times_of(watched, batches, ratio).break_even if watched.plan.stops else None


def _ideal(share: Float[np.ndarray, " exits"], cost: CostProfile) -> float:
    """Mean backbone cost of samples that left so, as a share of the whole."""
    return float(cost.upto @ share / cost.upto[-1])


def _beside_best(rows: Sequence[SpeedRow]) -> list[SpeedRow]:
    """The same rows with the ratio to the fastest plain model at their batch size."""
    best = {
        batch: min(row.ms for row in rows if row.batch == batch and row.is_plain) for batch in {r.batch for r in rows}
    }
    return [replace(row, ratio_to_best=row.ms / best[row.batch]) for row in rows]
