"""How long each way of each alternative takes beside the plain model: interleaved in one process, on real batches."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from offramp.advise.contender import PLAIN, Contender, Way
from offramp.backends import check_backends, executors
from offramp.benching import drawn
from offramp.decide.rule import rule as rule_of
from offramp.deployed import available
from offramp.errors import InputError, OfframpError
from offramp.model.quantiser import rounds as is_rounded
from offramp.progress import Progress
from offramp.run.loop import Plan, run
from offramp.run.stage_seconds import ExecutorFor
from offramp.run.timing import interleaved
from offramp.sources import Source

BACKENDS = ("eager", "onnx", "openvino")
"""Among which the fastest is looked for, as far as they are installed."""

FIRST_ROUNDS = 6
"""Rounds in which it is."""

Runner = Callable[[Any], Any]
Key = tuple[str, str]
"""Names of an alternative and of a way to run it."""


@dataclass(frozen=True)
class Taken:
    """Time of a way at a batch size.

    Attributes:
        ms: median milliseconds per batch.
        ratio: median time as a share of the plain model's on the back end where that is fastest.
        noise: standard error of the ratio over rounds.
    """

    ms: float
    ratio: float
    noise: float


@dataclass(frozen=True, eq=False)
class Race:
    """What was timed.

    Attributes:
        backend: on which the plain model is fastest.
        uncut: by back end, milliseconds of the plain model for each batch size.
        int8: the back end on which a model in eight bits is fastest; None where there is none.
        taken: by alternative and way, by batch size.
        left_out: what could not be run, and why.
    """

    backend: str
    uncut: Mapping[str, Mapping[int, float]]
    int8: str | None
    taken: Mapping[Key, Mapping[int, Taken]]
    left_out: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Track:
    """Where the race is run.

    Attributes:
        source: samples that chose nothing.
        batch_sizes: at which it is.
        backends: among which the fastest is looked for.
        threads: of each back end.
        rounds: over which medians are taken.
        folder: where stages are exported to.
        progress: told how far it is.
    """

    source: Source
    batch_sizes: Sequence[int]
    backends: Sequence[str]
    threads: int
    rounds: int
    folder: Path
    progress: Progress

    def made(self, contender: Contender, backend: str) -> ExecutorFor:
        """Makes the executors of an alternative on a back end, in a folder of its own."""
        number = len(list(self.folder.iterdir()))
        folder = self.folder / f"stages{number}"
        folder.mkdir()
        return executors(contender.live, [backend], folder, self.threads)[backend]

    def batches(self, size: int, rounds: int) -> list[list[Any]]:
        """Real batches."""
        return drawn(self.source, size, rounds)


def race(track: Track, contenders: Sequence[Contender]) -> Race:
    """Times all ways: first the plain model on every back end, then everything on the fastest.

    Models in eight bits run on whichever back end is fastest for them; PyTorch's is none, since it computes them with
    floats.

    Raises:
        InputError: if no back end can run the plain model.
    """
    left_out: dict[str, str] = {}
    whole = next(one for one in contenders if one.kind == PLAIN)
    uncut = _uncut(track, whole, track.backends, left_out)
    if not uncut:
        raise InputError(f"expected a back end that runs the model, of {', '.join(track.backends)}; {left_out}")
    best, int8 = _fastest(uncut), None
    rounded = next((one for one in contenders if one.alone and in_int8(one)), None)
    if rounded is not None:
        exported = [name for name in track.backends if name not in ("eager", "compile")]
        tried = _uncut(track, rounded, exported, left_out)
        int8 = _fastest(tried) if tried else None
    runners: dict[Key, Runner] = {}
    for contender in contenders:
        backend = int8 if in_int8(contender) else best
        if backend is not None:
            runners |= _runners(track, contender, backend, left_out)
    taken: dict[Key, dict[int, Taken]] = {key: {} for key in runners}
    base = (whole.name, "")
    for done, size in enumerate(track.batch_sizes):
        given = track.batches(size, track.rounds)
        timing = interleaved({_joined(key): runner for key, runner in runners.items()}, given)
        for key in runners:
            name, to = _joined(key), _joined(base)
            ms = 1e3 * float(np.median(timing.seconds(name))) / len(given[0])
            taken[key][size] = Taken(ms, timing.ratio(name, to), timing.noise(name, to))
        track.progress("timing all", done + 1, len(track.batch_sizes))
    return Race(best, uncut, int8, taken, left_out)


def installed(backends: Sequence[str]) -> list[str]:
    """Those of some back ends that can be used here.

    Raises:
        UnknownNameError: if one is none.
    """
    check_backends(backends)
    return [name for name in backends if name in ("eager", "compile", "cuda-graphs") or available(name)]


def in_int8(contender: Contender) -> bool:
    """Whether an alternative computes in eight bits."""
    return is_rounded(contender.live.multi_exit.backbone.model.state_dict())


def _uncut(
    track: Track, contender: Contender, backends: Sequence[str], left_out: dict[str, str]
) -> dict[str, dict[int, float]]:
    """Milliseconds of a model run whole, by back end and batch size."""
    runners: dict[str, Runner] = {}
    for backend in backends:
        for runner in _runners(track, contender, backend, left_out).values():
            runners[backend] = runner  # it is run whole, in one way
    if not runners:
        return {}
    found_ms: dict[str, dict[int, float]] = {name: {} for name in runners}
    for size in track.batch_sizes:
        given = track.batches(size, FIRST_ROUNDS)
        timing = interleaved(runners, given)
        for name in runners:
            found_ms[name][size] = 1e3 * float(np.median(timing.seconds(name))) / len(given[0])
        track.progress(f"timing {contender.name} uncut", len(found_ms[name]), len(track.batch_sizes))
    return found_ms


def _fastest(uncut: Mapping[str, Mapping[int, float]]) -> str:
    """The back end with the least geometric mean over the batch sizes."""
    return min(uncut, key=lambda name: float(np.log(list(uncut[name].values())).mean()))


def _runners(track: Track, contender: Contender, backend: str, left_out: dict[str, str]) -> dict[Key, Runner]:
    found: dict[Key, Runner] = {}
    try:
        make = track.made(contender, backend)
        for way in contender.ways:
            runner = _runner(contender, way, make)
            runner(track.batches(1, 1)[0][0])
            found[contender.name, way.name] = runner
    except OfframpError as error:
        left_out[f"{contender.name} on {backend}"] = str(error)
        return {}
    return found


def _runner(contender: Contender, way: Way, make: ExecutorFor) -> Runner:
    configuration, point_of = way.configuration, contender.live.multi_exit.point_of
    plan = Plan.of(configuration, point_of, make(configuration.enabled), rule_of(contender.live.gate.rule))
    return partial(run, plan)


def _joined(key: Key) -> str:
    return "\n".join(key)
