"""What each segment and each head costs in seconds, measured on the spot."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float

from offramp.heads.earlier import Earlier
from offramp.inputs import Inputs, batch_size, device_of, mask_of, on
from offramp.run.driver import Driver
from offramp.run.headed import Headed
from offramp.run.timing import settled
from offramp.types import CostProfile

T = TypeVar("T")
Clock = Callable[[], float]

WARM_UP, ROUNDS = 2, 7
"""Rounds that are not counted, and rounds over which the medians are taken."""


def seconds(executor: Headed, inputs: Inputs, rounds: int = ROUNDS, clock: Clock = settled) -> CostProfile:
    """Seconds per sample of leaving at each exit, at the batch size of `inputs`.

    Every round runs all segments, heads and gates on the whole batch, one after the other, as the run loop does while
    nobody leaves; each piece counts with its median. What compacting a batch costs is not in it, nor that a segment is
    dearer per sample once the batch has shrunk.

    Args:
        executor: with stops at all points in use.
        inputs: a batch of real inputs.
        rounds: how often.
        clock: tells the time in seconds.
    """
    device = device_of(executor.multi_exit.backbone.model)
    inputs = on(inputs, device)
    point_of, samples = executor.multi_exit.point_of, batch_size(inputs)
    exits, stops = len(point_of) + 1, len(executor.multi_exit.points)
    for _ in range(WARM_UP):
        _round(executor, inputs, clock)
    taken = np.median([_round(executor, inputs, clock) for _ in range(rounds)], axis=0) / samples
    segments, head, gate = np.split(taken, [stops + 1, stops + 1 + exits])
    upto = np.append(np.cumsum(segments)[list(point_of)], segments.sum())
    return CostProfile("s", upto, head, gate, device=str(device), batch_size=samples)


def segment_seconds(
    driver: Driver, stops: int, inputs: Inputs, rounds: int = ROUNDS, clock: Clock = settled
) -> Float[np.ndarray, " segments"]:
    """Median seconds of every segment on a whole batch, `stops` + 1 of them; no head is run."""
    for _ in range(WARM_UP):
        _pass(driver, stops, inputs, clock)
    medians: np.ndarray = np.median([_pass(driver, stops, inputs, clock) for _ in range(rounds)], axis=0)
    return medians


def _pass(
    driver: Driver, stops: int, inputs: Inputs, clock: Clock, at: Callable[[int, torch.Tensor], None] | None = None
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
        driver.drive(inputs, stop)
    segments[-1] = clock() - since
    return segments


def _round(executor: Headed, inputs: Inputs, clock: Clock) -> Float[np.ndarray, " pieces"]:
    """Seconds of every segment, then of the head of every exit, then of the gate of every exit."""
    point_of = executor.multi_exit.point_of
    head, gate = np.zeros(len(point_of) + 1), np.zeros(len(point_of) + 1)
    mask = mask_of(inputs)
    earlier: Earlier = ()

    def at(place: int, feature: torch.Tensor) -> None:
        nonlocal earlier
        for exit_ in (exit_ for exit_, point in enumerate(point_of) if point == place):
            (logits, earlier), head[exit_] = _timed(partial(executor.logits, exit_, feature, mask, earlier), clock)
            _, gate[exit_] = _timed(partial(executor.gate.score, logits, exit_), clock)

    stops = len(executor.multi_exit.points)
    return np.concatenate([_pass(executor.driver, stops, inputs, clock, at), head, gate])


def _timed(work: Callable[[], T], clock: Clock) -> tuple[T, float]:
    start = clock()
    result = work()
    return result, clock() - start
