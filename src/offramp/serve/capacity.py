"""How many replicas each stage needs: arithmetic on exit shares and the time of a stage."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from offramp.decide.rule import rule
from offramp.errors import InputError, UnknownNameError
from offramp.run.apart import Apart
from offramp.run.group import Failed, Group
from offramp.run.mixed import column
from offramp.run.routing import Routing
from offramp.serve.widest import widest


@dataclass(frozen=True)
class Load:
    """What a stage has to do.

    Attributes:
        reach: share of all samples that come to it.
        rate: samples a second that do.
        cores: that it keeps busy on average.
        replicas: that keep each at most as busy as was asked for.
    """

    reach: float
    rate: float
    cores: float
    replicas: int


def reaching(shares: Sequence[float]) -> tuple[float, ...]:
    """The share of all samples that comes to each stage, from the share that is answered at each.

    Example:
        >>> reaching((0.5, 0.25, 0.25))
        (1.0, 0.5, 0.25)
    """
    return tuple(float(1.0 - sum(shares[:stage])) for stage in range(len(shares)))


def loads(
    rate: float, shares: Sequence[float], seconds: Sequence[float], batch: int = 1, utilisation: float = 0.7
) -> tuple[Load, ...]:
    """The load of each stage.

    Args:
        rate: samples a second that come to the first one.
        shares: of all samples, answered at each stage; they add up to 1.
        seconds: that a batch takes at each stage, on one replica.
        batch: samples in a batch.
        utilisation: share of the time in which a replica may be busy; the rest is for bursts and lost replicas.

    Raises:
        InputError: if there is not one number for each stage, or one is out of its range.

    Example:
        >>> [load.replicas for load in loads(1000.0, (0.5, 0.3, 0.2), (0.002, 0.004, 0.010), utilisation=0.5)]
        [4, 4, 4]
    """
    if not shares or len(shares) != len(seconds):
        raise InputError(f"expected a share and a time for each stage, got {len(shares)} and {len(seconds)}")
    if min(shares) < 0 or not math.isclose(sum(shares), 1.0, abs_tol=1e-6):
        raise InputError(f"expected shares of at least 0 that add up to 1, got a sum of {sum(shares):.6g}")
    if not rate > 0 or min(seconds) < 0 or batch < 1 or not 0 < utilisation <= 1:
        raise InputError("expected a rate and batches above 0, no time below 0, and a utilisation above 0 and up to 1")
    found = []
    for reach, time_ in zip(reaching(shares), seconds, strict=True):
        cores = rate * reach * time_ / batch
        found.append(Load(reach, rate * reach, cores, max(1, math.ceil(cores / utilisation - 1e-9))))
    return tuple(found)


def replicas(
    rate: float, shares: Sequence[float], seconds: Sequence[float], batch: int = 1, utilisation: float = 0.7
) -> tuple[int, ...]:
    """How many replicas each stage needs; see `loads`."""
    return tuple(load.replicas for load in loads(rate, shares, seconds, batch, utilisation))


@dataclass(frozen=True)
class Measured:
    """What is known of an operating point on exported stages.

    Attributes:
        shares: of all samples, answered at each stage.
        seconds: that a full batch takes at each stage, with all that a replica does with it but messages.
        whole: that a full batch takes in the uncut model.
        received: bytes of a sample that come to each stage.
    """

    shares: tuple[float, ...]
    seconds: tuple[float, ...]
    whole: float
    received: tuple[int, ...]


def measured(
    folder: Path,
    point: str,
    inputs: Sequence[np.ndarray],
    batch: int = 32,
    runtime: str = "onnx",
    rounds: int = 20,
    clock: Callable[[], float] = time.perf_counter,
) -> Measured:
    """Shares and times of an operating point, each stage run by itself in one thread on full batches of real samples.

    Args:
        folder: that `offramp export` wrote.
        point: the operating point.
        inputs: samples, as the model takes them; shares are of these, so they should be many.
        batch: samples of a batch.
        runtime: of the stages.
        rounds: batches of each stage that are timed; the median counts.
        clock: tells the time in seconds.

    Raises:
        UnknownNameError: if there is no such operating point.
        InputError: if a stage cannot run.
    """
    made, routing = widest(folder, runtime, 1), Routing.read(folder)
    own = routing.aliases.get(point, point)
    if own not in routing.points:
        raise UnknownNameError.among("operating point", point, [*routing.points, *routing.aliases])
    entry = routing.points[own]
    names = dict(zip(made.uncut.inputs, inputs, strict=True))
    limits = column(entry.enabled, entry.threshold)
    timed = [(made.ready(None), _group(tuple(inputs), limits, routing.rule))]
    group = _group(tuple(names[name] for name in made.names), limits, routing.rule)
    samples, answered = group.samples, []
    for place in range(len(made.stages)):
        apart = made.ready(place)
        timed.append((apart, group))
        told = apart.run(group)
        answered.append((group.samples - len(told.rows)) / samples)
        if told.group is None:
            break  # nobody comes to those behind
        group = told.group
    whole, *seconds = _seconds(timed, batch, rounds, clock)
    received = [sum(array[:1].nbytes for array in one.state) for _, one in timed[1:]]
    rest = len(made.stages) - len(seconds)
    return Measured((*answered, *[0.0] * rest), (*seconds, *[0.0] * rest), whole, (*received, *[0] * rest))


def _group(state: tuple[np.ndarray, ...], limits: np.ndarray, by: str) -> Group:
    samples = len(state[0])
    nobody = np.zeros(samples, bool)
    return Group(
        state,
        np.repeat(limits[:, None], samples, axis=1),
        np.full(samples, len(limits)),
        np.full(samples, np.inf),
        nobody,
        nobody,
        rule(by).start(samples),
    )


def _seconds(timed: Sequence[tuple[Apart, Group]], batch: int, rounds: int, clock: Callable[[], float]) -> list[float]:
    """The median time of a full batch in each stage, one after the other in each round.

    Where too few samples come to a stage, some of them occur more than once.
    """
    found: list[list[float]] = [[] for _ in timed]
    for number in range(rounds + 2):
        for (apart, group), times in zip(timed, found, strict=True):
            some = [group.rows((np.arange(batch) + number * batch) % group.samples)]
            began = clock()
            told = apart.answers(some)[0]
            times.append(clock() - began)
            if isinstance(told, Failed):
                raise InputError(f"a stage failed on the samples: {told.message}")
    return [float(median(times[2:])) for times in found]  # the first ones make things ready
