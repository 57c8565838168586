"""`offramp run`: predictions of the model that leaves early."""

import csv
import enum
import math
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from offramp.bundle import Bundle
from offramp.cli.attached import attached
from offramp.cli.options import BundlePath, Data, OptionalModel, Small, Weights
from offramp.cli.progress import bars
from offramp.errors import InputError
from offramp.inputs import check_finite
from offramp.progress import Progress
from offramp.report.paths import file_path
from offramp.sources import Source
from offramp.types import BACKBONE


class Mode(enum.StrEnum):
    """What matters."""

    latency = "latency"
    throughput = "throughput"


def run(
    bundle: BundlePath,
    data: Data,
    out: Annotated[Path, typer.Option(metavar="FILE.csv", help="Where to write the predictions.")],
    model: OptionalModel = None,
    weights: Weights = None,
    small: Small = None,
    point: Annotated[str, typer.Option(help="Operating point.")] = "balanced",
    batch_size: Annotated[int, typer.Option(min=1, help="Samples per batch.")] = 32,
    mode: Annotated[
        Mode,
        typer.Option(help="latency: a batch shrinks at once; throughput: survivors of several batches go on together."),
    ] = Mode.latency,
    max_wait: Annotated[
        float, typer.Option(min=0.0, metavar="SECONDS", help="With throughput: how long an input waits for others.")
    ] = math.inf,
) -> None:
    """Run MODEL with its early exits over DATA and write one line per input: index, prediction, exit, score.

    Examples:
      offramp run bundle timm:resnet50 --data photos/ --point fast --out a.csv
      offramp run bundle timm:resnet50 --data photos/ --mode throughput --batch-size 64 --out a.csv
    """
    file_path(out)
    live, source = attached(bundle, model, weights, data, small=small)
    live.point(point)
    draft = out.with_name(out.name + ".part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with bars() as progress:
            _write(live, source, point, batch_size, draft, progress, None if mode is Mode.latency else max_wait)
        draft.replace(out)
    except OSError as error:
        raise InputError(
            f"cannot write {out}: {error.strerror or error}; free space or choose another place"
        ) from error
    finally:
        draft.unlink(missing_ok=True)
    typer.echo(f"{len(source)} predictions: {out}")


def _write(
    live: Bundle, source: Source, point: str, batch_size: int, path: Path, progress: Progress, max_wait: float | None
) -> None:
    """The predictions as csv, in the order of the inputs; a progress bar for the way.

    With a wait in seconds inputs wait for others; with None a batch shrinks at once.
    """
    fast = live.use(point)
    with path.open("w", newline="") as stream:
        lines = _Lines(live, csv.writer(stream))
        pool = None if max_wait is None else fast.pooled(lines.add, batch_size, max_wait)
        for start in range(0, len(source), batch_size):
            indices = np.arange(start, min(start + batch_size, len(source)))
            inputs = source.inputs(indices)
            check_finite(inputs, source.name, start)
            if pool is None:
                fast(inputs, lambda number, *said, start=start: lines.add(start + number, *said))
            else:
                pool.add(inputs)
            progress("running", int(indices[-1]) + 1, len(source))
        if pool is not None:
            pool.flush()


class _Lines:
    """One line for each input, in their order, though answers come in another."""

    def __init__(self, live: Bundle, writer: Any) -> None:
        self._exits = [*(f"{exit_.point}/{exit_.head}" for exit_ in live.manifest.exits), BACKBONE]
        self._task, self._writer = live.task, writer
        self._early: dict[int, list[object]] = {}
        self._next = 0
        writer.writerow(["index", "prediction", "exit_index", "exit", "score"])

    def add(self, number: int, output: np.ndarray, exit_index: int, score: float) -> None:
        """Keeps a line until it is its turn."""
        answer = self._task.predict(output[None])[0]
        self._early[number] = [number, answer, exit_index, self._exits[exit_index], f"{score:.6f}"]
        while self._next in self._early:
            self._writer.writerow(self._early.pop(self._next))
            self._next += 1
