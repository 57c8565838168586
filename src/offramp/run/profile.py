"""What each segment and each head costs in seconds, measured on the spot."""

import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float

from offramp.inputs import Inputs, batch_size, leaves, mask_of
from offramp.run.executor import Executor
from offramp.run.loop import Plan
from offramp.types import CostProfile

T = TypeVar("T")
Clock = Callable[[], float]

WARM_UP, ROUNDS = 2, 7
"""Rounds that are not counted, and rounds over which the medians are taken."""


def seconds(
    executor: Executor, plan: Plan, inputs: Inputs, rounds: int = ROUNDS, clock: Clock = time.perf_counter
) -> CostProfile:
    """Seconds per sample of leaving at each exit of `plan`, at the batch size of `inputs`.

    Every round runs all segments, heads and gates on the whole batch, one after the other, as the run loop does while
    nobody leaves; each piece counts with its median. What compacting a batch costs is not in it, nor that a segment is
    dearer per sample once the batch has shrunk.

    Args:
        executor: runs the pieces.
        plan: with every exit enabled; its thresholds do not matter.
        inputs: a batch of real inputs.
        rounds: how often.
        clock: tells the time in seconds.
    """
    assert all(plan.configuration.enabled)
    samples, exits = batch_size(inputs), len(plan.configuration.enabled) + 1
    for _ in range(WARM_UP):
        _round(executor, plan, inputs, clock)
    taken = np.median([_round(executor, plan, inputs, clock) for _ in range(rounds)], axis=0) / samples
    segments, head, gate = np.split(taken, [len(plan.stops) + 1, len(plan.stops) + 1 + exits])
    upto = np.full(exits, segments.sum())
    for segment, stops in enumerate(plan.stops):
        upto[list(stops)] = segments[: segment + 1].sum()
    return CostProfile("s", upto, head, gate, device=str(leaves(inputs)[0].device), batch_size=samples)


def segment_seconds(
    executor: Executor, stops: int, inputs: Inputs, rounds: int = ROUNDS, clock: Clock = time.perf_counter
) -> Float[np.ndarray, " segments"]:
    """Median seconds of every segment on a whole batch, `stops` + 1 of them; no head is run."""
    for _ in range(WARM_UP):
        _pass(executor, stops, inputs, clock)
    medians: np.ndarray = np.median([_pass(executor, stops, inputs, clock) for _ in range(rounds)], axis=0)
    return medians


def _pass(
    executor: Executor, stops: int, inputs: Inputs, clock: Clock, at: Callable[[int, torch.Tensor], None] | None = None
) -> Float[np.ndarray, " segments"]:
    """Seconds of every segment of one pass; the time that `at` takes at the stops is not counted."""
    segments = np.zeros(stops + 1)
    since = clock()

    def stop(segment: int, feature: torch.Tensor) -> None:
        nonlocal since
        segments[segment] = clock() - since
        if at is not None:
            at(segment, feature)
        since = clock()

    with torch.no_grad():
        executor.drive(inputs, stop)
    segments[-1] = clock() - since
    return segments


def _round(executor: Executor, plan: Plan, inputs: Inputs, clock: Clock) -> Float[np.ndarray, " pieces"]:
    """Seconds of every segment, then of the head of every exit, then of the gate of every exit."""
    exits = len(plan.configuration.enabled) + 1
    head, gate = np.zeros(exits), np.zeros(exits)
    remembered, mask = plan.gate.init(batch_size(inputs)), mask_of(inputs)

    def at(segment: int, feature: torch.Tensor) -> None:
        nonlocal remembered
        for exit_ in plan.stops[segment]:
            logits, head[exit_] = _timed(partial(executor.head, exit_, feature, mask), clock)
            said, gate[exit_] = _timed(partial(plan.judge, exit_, logits, remembered), clock)
            remembered = said.remembered

    return np.concatenate([_pass(executor, len(plan.stops), inputs, clock, at), head, gate])


def _timed(work: Callable[[], T], clock: Clock) -> tuple[T, float]:
    start = clock()
    result = work()
    return result, clock() - start
