"""`offramp run`: predictions of the model that leaves early."""

import csv
import enum
import math
import shutil
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from offramp.bundle import Bundle
from offramp.cli.attached import prepared
from offramp.cli.lines import Lines
from offramp.cli.options import BundlePath, Data, OptionalModel, Small, Weights
from offramp.cli.progress import bars
from offramp.cli.run_ray import Wish, parts_of, scored, write
from offramp.errors import InputError
from offramp.inputs import check_finite
from offramp.load.optional import require
from offramp.progress import Progress
from offramp.report.paths import file_path
from offramp.sources import Source


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
    ray: Annotated[
        bool, typer.Option("--ray", help="On a Ray cluster, a pool of workers for each stage; goes on after a kill.")
    ] = False,
    replicas: Annotated[
        str, typer.Option(metavar="N,N,…", help="With --ray: workers of each stage. [default: one each]")
    ] = "",
) -> None:
    """Run MODEL with its early exits over DATA and write one line per input: index, prediction, exit, score.

    Examples:
      offramp run bundle timm:resnet50 --data photos/ --point fast --out a.csv
      offramp run bundle timm:resnet50 --data photos/ --mode throughput --batch-size 64 --out a.csv
      offramp run bundle timm:resnet50 --data photos/ --ray --replicas 8,4,2 --out a.csv
    """
    file_path(out)
    workers = _workers(ray, replicas)
    live, opening = prepared(bundle, model, weights, data, small=small)
    live.point(point)
    draft, source = out.with_name(out.name + ".part"), opening.source
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with bars() as progress:
            if workers is not None:
                wish = Wish(point, batch_size, workers)
                write(scored(live, opening, wish, parts_of(out), progress), live, draft)
            else:
                _write(live, source, point, batch_size, draft, progress, None if mode is Mode.latency else max_wait)
        draft.replace(out)
        shutil.rmtree(parts_of(out), ignore_errors=True)
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
        lines = Lines(live, csv.writer(stream))
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


def _workers(ray: bool, replicas: str) -> tuple[int, ...] | None:
    """Workers of each stage on a cluster; None for none.

    Raises:
        InputError: if they are no numbers, or there is no cluster.
    """
    if not ray:
        if replicas:
            raise InputError("expected --ray beside --replicas; one process has one of each stage")
        return None
    for package in ("ray", "ray.data"):
        require(package, "running on many machines")
    try:
        return tuple(int(part) for part in replicas.split(",")) if replicas else ()
    except ValueError as error:
        raise InputError(f"expected --replicas such as 4,2,1, got {replicas!r}") from error
