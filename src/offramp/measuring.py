"""Seconds per segment and head, on this machine and on the build's own inputs."""

from offramp.deciding import Decided
from offramp.model.multi_exit import MultiExit
from offramp.options import Options
from offramp.progress import Progress, silent
from offramp.reading import reader
from offramp.run.choice import executor
from offramp.run.profile import seconds
from offramp.sources import Source
from offramp.split import Parts
from offramp.tasks.task import Task
from offramp.types import CostProfile


def profiles(
    multi_exit: MultiExit,
    decided: Decided,
    task: Task,
    source: Source,
    parts: Parts,
    options: Options,
    progress: Progress = silent,
) -> tuple[CostProfile, ...]:
    """A cost profile in seconds for each batch size wanted, all exits on and nobody leaving."""
    everywhere = (True,) * len(multi_exit.exits)
    runs = executor(multi_exit, reader(task), decided.gate, decided.calibrators, everywhere)
    found = []
    for done, size in enumerate(options.timed):
        found.append(seconds(runs, source.inputs(parts["choose"][:size])))
        progress("measuring seconds", done + 1, len(options.timed))
    return tuple(found)
