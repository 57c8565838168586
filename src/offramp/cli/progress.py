"""Progress bars on standard error, so that standard output stays what was asked for."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from offramp.progress import Progress


@contextmanager
def bars(show: bool = True) -> Iterator[Progress]:
    """A `Progress` that draws one bar per stage; where nobody watches (no terminal), a line when a stage ends."""
    console = Console(stderr=True, soft_wrap=True)
    if not show or not sys.stderr.isatty():
        yield _lines(console) if show else _nothing
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console) as drawn:
        tasks: dict[str, TaskID] = {}

        def update(stage: str, done: int, total: int) -> None:
            if stage not in tasks or (drawn.tasks[tasks[stage]].finished and done < total):
                tasks[stage] = drawn.add_task(stage, total=total)
            drawn.update(tasks[stage], completed=done, total=total)

        yield update


def _lines(console: Console) -> Progress:
    def update(stage: str, done: int, total: int) -> None:
        if done >= total:
            console.print(f"{stage}: done ({total})", highlight=False)

    return update


def _nothing(stage: str, done: int, total: int) -> None:
    """Shows nothing."""
