"""What leaving at each exit would take, measured with heads that were not trained yet: they take as long."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from offramp.backends import executors
from offramp.calibrate.identity import Identity
from offramp.gates import gate
from offramp.inputs import Inputs
from offramp.live import Live
from offramp.machine import threads_set
from offramp.model.multi_exit import MultiExit
from offramp.progress import Progress
from offramp.reading import reader
from offramp.run.loop import Plan, run
from offramp.run.stage_seconds import ExecutorFor, seconds
from offramp.run.timing import interleaved
from offramp.sources import Source
from offramp.tasks.task import Task
from offramp.types import Configuration, CostProfile


def stage_times(
    multi_exit: MultiExit,
    task: Task,
    source: Source,
    batch_sizes: Sequence[int],
    backend: str,
    threads: int,
    rounds: int,
    progress: Progress,
) -> list[CostProfile]:
    """A cost profile in seconds for each batch size, all heads on and nobody leaving."""
    calibrators = tuple(Identity() for _ in multi_exit.exits)
    live = Live(multi_exit, reader(task), gate("max-prob"), calibrators, task.means.parts)
    generator, found = np.random.default_rng(0), []
    with tempfile.TemporaryDirectory(prefix="offramp-") as folder, threads_set(threads):
        make = executors(live, [backend], Path(folder), threads)[backend]
        for done, size in enumerate(batch_sizes):
            batches = [source.inputs(np.sort(generator.integers(0, len(source), size))) for _ in range(rounds)]
            stages = seconds(make, multi_exit.point_of, batches, f"{backend}, {threads} threads")
            found.append(with_loop(stages, make, multi_exit.point_of, batches))
            progress(f"timing {backend}", done + 1, len(batch_sizes))
    return found


def with_loop(
    stages: CostProfile, make: ExecutorFor, point_of: Sequence[int], batches: Sequence[Inputs]
) -> CostProfile:
    """The profile with what the run loop itself takes at a stop, which counts where a whole request takes microseconds.

    It is what asking all exits and letting nobody leave takes longer than the model uncut, beyond what stages and heads
    take longer.
    """
    inner = len(point_of)
    every = Configuration((True,) * inner, (float("inf"),) * inner)
    plans = {
        name: Plan.of(one, point_of, make(one.enabled))
        for name, one in (("off", every), ("uncut", Configuration.full(inner)))
    }
    timing = interleaved({name: partial(run, plan) for name, plan in plans.items()}, [[batch] for batch in batches])
    longer = float(np.median(timing.seconds("off")) - np.median(timing.seconds("uncut"))) / stages.batch_size
    known = float(stages.leaving(np.ones(inner, bool))[-1] - stages.backbone)
    extra = np.full(inner + 1, max(longer - known, 0.0) / inner)
    extra[-1] = 0.0
    return replace(stages, head=stages.head + extra)
