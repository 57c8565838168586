"""Times a bundle against its plain model on its user's machine."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from offramp.backends import executors
from offramp.bundle import Bundle
from offramp.deployed import RUNTIMES, available
from offramp.errors import InputError
from offramp.inputs import Inputs, device_of
from offramp.live import Live
from offramp.looking import unseen
from offramp.machine import threads_set
from offramp.progress import Progress, silent
from offramp.sources import Source
from offramp.speed import Backend, SpeedRow, grid

POINTS = ("balanced", "fast", "fastest")
"""What is timed where nothing else is asked for."""

LEAST = 40
"""Samples in a round at least, so that what leaves early in one is much alike."""


@dataclass(frozen=True)
class Timing:
    """How something is timed.

    Attributes:
        batch_sizes: samples at a time.
        backends: names of back ends.
        threads: of all back ends.
        rounds: over which medians are taken.
    """

    batch_sizes: Sequence[int] = (1, 32)
    backends: Sequence[str] = ("eager",)
    threads: int = 1
    rounds: int = 15


USUAL = Timing()
"""Where nothing else is asked for."""


def bench(
    bundle: Bundle,
    source: Source,
    backends: Sequence[str] = ("eager",),
    batch_sizes: Sequence[int] = (1, 8, 32, 128),
    points: Sequence[str] = POINTS,
    threads: int = 1,
    rounds: int = 15,
    progress: Progress = silent,
) -> list[SpeedRow]:
    """The grid of a bundle: back ends x batch sizes x operating points, interleaved in one process.

    The plain model is timed on all back ends that are installed and can run it (but `compile`, which takes minutes), so
    that the fastest is known. On the data of the build only the report part is used.

    Args:
        bundle: attached to its backbone.
        source: real inputs; what leaving early saves depends on them.
        backends: names of back ends.
        batch_sizes: samples at a time.
        points: names of operating points.
        threads: of all back ends; PyTorch's are set while it runs.
        rounds: over which medians are taken.
        progress: told how far it is.

    Raises:
        UnknownNameError: if there is no such back end or point.
        InputError: if the bundle is not attached, or a package is missing.
    """
    live = bundle.live
    if not batch_sizes or not backends:
        raise InputError("expected at least one batch size and one back end; give --batch-sizes 1,8 --backends eager")
    source = unseen(bundle, source)
    wanted = [bundle.point(name) for name in dict.fromkeys(bundle.point(name).name for name in points)]
    on_processor = device_of(live.multi_exit.backbone.model).type == "cpu"
    others = ("eager", *RUNTIMES) if on_processor else ("eager", "cuda-graphs")
    plain = [name for name in others if name not in backends and available(name)]
    with tempfile.TemporaryDirectory(prefix="offramp-") as folder, threads_set(threads):
        made = executors(live, [*backends, *plain], Path(folder), threads)
        return grid(
            [Backend(name, precision(live, name), make, name in plain) for name, make in made.items()],
            {point.name: point.configuration for point in wanted},
            live.multi_exit.point_of,
            live.multi_exit.macs(live.gate),
            {size: drawn(source, size, rounds) for size in batch_sizes},
            threads,
            {point.name: point.bound.epsilon for point in wanted if point.bound is not None},
            progress,
            live.gate.rule,
        )


def precision(live: Live, backend: str) -> str:
    """What a back end computes in."""
    if backend.endswith("bf16"):
        return "bf16"
    kinds = {p.dtype for p in live.multi_exit.backbone.model.parameters() if p.dtype.is_floating_point}
    names = {torch.float32: "f32", torch.float64: "f64", torch.bfloat16: "bf16", torch.float16: "f16"}
    return "/".join(sorted(names.get(kind, str(kind)) for kind in kinds)) or "f32"


def drawn(source: Source, size: int, rounds: int) -> list[list[Inputs]]:
    """Random batches; each round has at least `LEAST` samples."""
    generator = np.random.default_rng(size)
    count = max(1, -(-LEAST // size))
    return [
        [source.inputs(np.sort(generator.integers(0, len(source), size))) for _ in range(count)] for _ in range(rounds)
    ]
