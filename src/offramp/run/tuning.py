"""Which plan is fastest at a batch size, measured on the spot; "uncut" is always one, and wins ties. Free of torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from offramp.errors import InputError
from offramp.run.guard import Times
from offramp.run.loop import Plan
from offramp.run.stage_seconds import stage_seconds
from offramp.run.timing import Timing, interleaved
from offramp.run.watched import Watched
from offramp.types import Configuration

MARGIN = 0.03
"""Leaving early has to save this share of the time at least, so that a measurement that flatters it does no harm."""

SURE = 2.0
"""By so many standard errors beyond the margin."""

FEW = 5
"""Batches on which the stages of a plan are timed."""

UNCUT = ""
"""Names the uncut model among the plans; no operating point has it."""


@dataclass(frozen=True)
class Tuned:
    """What was measured of an operating point at a batch size.

    Attributes:
        early: whether leaving early is worth it.
        ratio: its time as a share of the uncut model's.
        noise: standard error of the ratio.
        times: what leaving at each exit takes; None where nobody leaves early.
    """

    early: bool
    ratio: float
    noise: float
    times: Times | None = None


def uncut(plan: Plan) -> Plan:
    """The plan that never leaves early, on the same executor."""
    return replace(plan, configuration=Configuration.full(len(plan.configuration.enabled)), stops=())


def tuned(plans: Mapping[str, Plan], rounds: Sequence[Sequence[Any]]) -> dict[str, Tuned]:
    """Runs all plans and the uncut model on the batches of each round, interleaved.

    Args:
        plans: by name, on one back end.
        rounds: the batches of each round, all of one size.

    Raises:
        InputError: if there are none.
    """
    if not rounds or not all(rounds):
        raise InputError("expected rounds of at least one batch each to measure on, got none")
    cut = {name: plan for name, plan in plans.items() if plan.stops}
    found = {name: Tuned(False, 1.0, 0.0) for name in plans}
    if cut:
        watched = {name: Watched(plan) for name, plan in {UNCUT: uncut(next(iter(cut.values()))), **cut}.items()}
        timing = interleaved(watched, rounds)
        found.update({name: _tuned(name, watched[name], timing, rounds) for name in cut})
    return found


def fastest(found: Mapping[str, Tuned], among: Sequence[str]) -> str:
    """The fastest of some plans, the first of equal ones; `UNCUT` where none is worth it.

    A later one has to be faster by the margin and the noise, too.
    """
    best, time = UNCUT, 1.0
    for name in among:
        one = found[name]
        if one.ratio + SURE * one.noise < time * (1.0 - MARGIN):
            best, time = name, one.ratio
    return best


def _tuned(name: str, watched: Watched, timing: Timing, rounds: Sequence[Sequence[Any]]) -> Tuned:
    ratio, noise = timing.ratio(name, UNCUT), timing.noise(name, UNCUT)
    return Tuned(ratio + SURE * noise < 1.0 - MARGIN, ratio, noise, times_of(watched, rounds[0], ratio))


def times_of(watched: Watched, batches: Sequence[Any], ratio: float) -> Times:
    """What leaving at each exit takes, from the stages' seconds on a few batches.

    Scaled, since a stage takes longer per sample when the batch has shrunk: samples that leave as those that were
    watched take `ratio`.
    """
    plan, share = watched.plan, watched.share
    some = batches[:FEW]
    stages = np.median([stage_seconds(plan.executor, plan.stops, batch) for batch in some], axis=0)
    whole = float(np.median([stage_seconds(plan.executor, (), batch)[0] for batch in some]))
    reached = np.cumsum(stages) / whole
    leaving = np.full(len(share), reached[-1])
    for place, here in enumerate(plan.stops):
        leaving[list(here)] = reached[place]
    return Times(leaving * (ratio / float(leaving @ share)), share)
