"""Whether leaving early is faster than not, measured on the spot. Free of torch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from offramp.run.loop import Plan, run
from offramp.run.timing import interleaved
from offramp.types import Configuration

MARGIN = 0.03
"""Leaving early has to save this share of the time at least, so that a measurement that flatters it does no harm."""

SURE = 2.0
"""By so many standard errors beyond the margin."""


@dataclass(frozen=True)
class Tuned:
    """What was measured of an operating point at a batch size.

    Attributes:
        early: whether leaving early is worth it.
        ratio: its time as a share of the uncut model's.
        noise: standard error of the ratio.
    """

    early: bool
    ratio: float
    noise: float


def uncut(plan: Plan) -> Plan:
    """The plan that never leaves early, on the same executor."""
    return replace(plan, configuration=Configuration.full(len(plan.configuration.enabled)), stops=())


def tuned(plan: Plan, rounds: Sequence[Sequence[Any]]) -> Tuned:
    """Runs the plan against the uncut model on the batches of each round, interleaved."""
    if not plan.stops:
        return Tuned(False, 1.0, 0.0)
    timing = interleaved({"early": partial(run, plan), "uncut": partial(run, uncut(plan))}, rounds)
    ratio, noise = timing.ratio("early", "uncut"), timing.noise("early", "uncut")
    return Tuned(ratio + SURE * noise < 1.0 - MARGIN, ratio, noise)
