"""What each stage takes, and what each exit costs, on any executor. Free of torch."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from offramp.arrays import Float
from offramp.run.buffers import running
from offramp.run.executor import Executor, Say
from offramp.run.loop import stops_of
from offramp.run.timing import WARM_UP, settled
from offramp.types import CostProfile

Clock = Callable[[], float]
ExecutorFor = Callable[[tuple[bool, ...]], Executor]
"""The executor for a set of enabled exits, which stops nowhere else."""

Stops = Sequence[Sequence[int]]
"""The enabled exits at each place that has any, by depth."""


def stage_seconds(
    executor: Executor, stops: Stops, inputs: Any, clock: Clock = settled
) -> Float[np.ndarray, " stages"]:
    """Seconds of every stage on a whole batch, with all that its exits say; nobody leaves.

    Args:
        executor: that stops there.
        stops: the exits at each stop; with none the only stage is the uncut model.
        inputs: a batch.
        clock: tells the time in seconds.
    """
    with running():
        times = [clock()]
        if not stops:
            executor.whole(inputs)
        else:

            def stop(place: int, say: Say) -> None:
                for exit_ in stops[place]:
                    say(exit_)
                times.append(clock())

            executor.drive(inputs, stop)
        times.append(clock())
    return np.diff(times)


def seconds(
    make: ExecutorFor,
    point_of: Sequence[int],
    rounds: Sequence[Any],
    device: str = "cpu",
    clock: Clock = settled,
) -> CostProfile:
    """What leaving at each exit costs in seconds per sample, at the batch size of the rounds.

    The model is run whole, cut at all places, at every other one, and at those between, interleaved. Where a place is
    left out two stages are one; what they took more apart is what the exits there cost: heads, gate, and the cut
    itself. What a smaller batch costs more per sample is not in it.

    Args:
        make: makes executors.
        point_of: for each exit, the number of its place.
        rounds: a batch of real inputs for each round; all of one size.
        device: what it is measured on, for the record.
        clock: tells the time in seconds.
    """
    places = max(point_of) + 1
    sides = [range(places), range(0, places, 2), range(1, places, 2), range(0)]
    cuts = []
    for side in sides:
        enabled = tuple(place in side for place in point_of)
        cuts.append(partial(stage_seconds, make(enabled), stops_of(enabled, point_of), clock=clock))
    for inputs in rounds[:WARM_UP]:
        for cut in cuts:
            cut(inputs)
    taken = [[cut(inputs) for cut in cuts] for inputs in rounds]
    every, even, odd, whole = (np.median([round_[index] for round_ in taken], axis=0) for index in range(4))
    samples = make((False,) * len(point_of)).samples(rounds[0])
    return _profile(every, even, odd, float(whole[0]), point_of, device, samples)


def _profile(
    every: Float[np.ndarray, " stages"],
    even: Float[np.ndarray, " some"],
    odd: Float[np.ndarray, " others"],
    whole: float,
    point_of: Sequence[int],
    device: str,
    samples: int,
) -> CostProfile:
    """From the stages' seconds to the exits'.

    >>> found = _profile(np.array([3.0, 4.0, 2.0]), np.array([3.0, 5.0]), np.array([6.0, 2.0]), 7.0, [0, 1], "cpu", 1)
    >>> found.head.tolist(), found.upto.tolist()
    ([1.0, 1.0, 0.0], [2.0, 5.0, 7.0])
    """
    places = len(every) - 1
    extra = np.zeros(places)
    for place in range(places):
        without, on = (odd, range(1, places, 2)) if place % 2 == 0 else (even, range(0, places, 2))
        merged = without[sum(one <= place for one in on)]
        extra[place] = max(every[place] + every[place + 1] - merged, 0.0)
    upto = np.maximum.accumulate(np.maximum(np.cumsum(every[:-1]) - np.cumsum(extra), 0.0))
    upto = np.minimum(upto, whole)
    sharing = np.bincount(point_of, minlength=places)
    where = np.asarray(point_of)
    return CostProfile(
        "s",
        np.append(upto[where], whole) / samples,
        np.append(extra[where] / sharing[where], 0.0) / samples,
        np.zeros(len(where) + 1),
        device=device,
        batch_size=samples,
    )
