"""How fast a multi-exit model really is: back ends, batch sizes and operating points, interleaved in one process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
from jaxtyping import Float

from offramp.progress import Progress, silent
from offramp.run.loop import Plan, run, stops_of
from offramp.run.model import ExecutorFor
from offramp.run.timing import Timing, interleaved
from offramp.run.tuning import tuned, uncut
from offramp.types import Configuration, CostProfile

UNCUT, OFF = "uncut", "exits-off"
"""The plain backbone, and the most exits that a point has, asked though nobody may leave."""

PLANNED = "planned"
"""Ends the name of a point that is used only where a measurement on other batches said that it is faster."""


@dataclass(frozen=True)
class SpeedRow:
    """One cell of the grid.

    Attributes:
        backend: what it ran on.
        batch: samples at a time.
        point: an operating point, the same as planned, `uncut` or `exits-off`.
        ms: median milliseconds per batch.
        ratio_to_uncut: median time as a share of the uncut model's on the same back end.
        ideal_ratio: mean backbone MACs of the samples that were run, as a share of the whole.
        achieved: saved time as a share of saved MACs; None where no MACs were saved.
        noise: standard error of the ratio over rounds.
    """

    backend: str
    batch: int
    point: str
    ms: float
    ratio_to_uncut: float
    ideal_ratio: float
    achieved: float | None
    noise: float


def grid(
    backends: Mapping[str, ExecutorFor],
    points: Mapping[str, Configuration],
    point_of: Sequence[int],
    cost: CostProfile,
    rounds: Mapping[int, Sequence[Sequence[Any]]],
    progress: Progress = silent,
) -> list[SpeedRow]:
    """The grid of a model.

    Args:
        backends: by name, what makes the executor of a set of enabled exits.
        points: the operating points to run.
        point_of: for each exit, the number of its exit point.
        cost: in MACs, for the ideal.
        rounds: per batch size the batches of each round; the first third decides what is planned.
        progress: told about every back end and batch size.
    """
    rows: list[SpeedRow] = []
    full = Configuration.full(len(point_of))
    most = max((point.enabled for point in points.values()), key=sum)  # of one point, since stages are made for points
    off = Configuration(most, (float("inf"),) * len(point_of))
    asked = {UNCUT: full, OFF: off, **points}
    for name, make in backends.items():
        made = cache(make)
        plans = {point: Plan(c, stops_of(c.enabled, point_of), made(c.enabled)) for point, c in asked.items()}
        for size, some in rounds.items():
            first = max(len(some) // 3, 1)
            given = some[first:]
            planned = {f"{point}, {PLANNED}": _planned(plans[point], some[:first]) for point in points}
            everything = {**plans, **planned}
            timing = interleaved({point: partial(run, plan) for point, plan in everything.items()}, given)
            rows += [
                _row(name, size, point, timing, _ideal(plan, given, cost), len(given[0]))
                for point, plan in everything.items()
            ]
            progress(f"timing {name}", len(rows), len(backends) * len(rounds) * len(everything))
    return rows


def _planned(plan: Plan, rounds: Sequence[Sequence[Any]]) -> Plan:
    """The plan, or the uncut model where it is not faster."""
    return plan if tuned(plan, rounds).early else uncut(plan)


def _ideal(plan: Plan, rounds: Sequence[Sequence[Any]], cost: CostProfile) -> float:
    upto: Float[np.ndarray, " exits"] = cost.upto
    spent = [upto[run(plan, inputs).exit_index].mean() for round_ in rounds for inputs in round_]
    return float(np.mean(spent) / upto[-1])


def _row(backend: str, batch: int, point: str, timing: Timing, ideal: float, batches: int) -> SpeedRow:
    ratio = timing.ratio(point, UNCUT)
    return SpeedRow(
        backend=backend,
        batch=batch,
        point=point,
        ms=1e3 * float(np.median(timing.seconds[point])) / batches,
        ratio_to_uncut=ratio,
        ideal_ratio=ideal,
        achieved=(1 - ratio) / (1 - ideal) if ideal < 1 else None,
        noise=timing.noise(point, UNCUT),
    )
