"""`offramp run`: predictions of the model that leaves early."""

import csv
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from offramp.bundle import Bundle
from offramp.cli.attached import attached
from offramp.cli.options import BundlePath, Data, OptionalModel, Weights
from offramp.cli.progress import bars
from offramp.errors import InputError
from offramp.inputs import check_finite
from offramp.progress import Progress
from offramp.report.paths import file_path
from offramp.sources import Source
from offramp.types import BACKBONE


def run(
    bundle: BundlePath,
    data: Data,
    out: Annotated[Path, typer.Option(metavar="FILE.csv", help="Where to write the predictions.")],
    model: OptionalModel = None,
    weights: Weights = None,
    point: Annotated[str, typer.Option(help="Operating point.")] = "balanced",
    batch_size: Annotated[int, typer.Option(min=1, help="Samples per batch.")] = 32,
) -> None:
    """Run MODEL with its early exits over DATA and write one line per input: index, prediction, exit, score.

    Example:
      offramp run bundle timm:resnet50 --data photos/ --point fast --out a.csv
    """
    file_path(out)
    live, source = attached(bundle, model, weights, data)
    live.point(point)
    draft = out.with_name(out.name + ".part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with bars() as progress:
            _write(live, source, point, batch_size, draft, progress)
        draft.replace(out)
    except OSError as error:
        raise InputError(
            f"cannot write {out}: {error.strerror or error}; free space or choose another place"
        ) from error
    finally:
        draft.unlink(missing_ok=True)
    typer.echo(f"{len(source)} predictions: {out}")


def _write(live: Bundle, source: Source, point: str, batch_size: int, path: Path, progress: Progress) -> None:
    """The predictions as csv; a progress bar for the way."""
    fast = live.use(point)
    exits = [*(f"{exit_.point}/{exit_.head}" for exit_ in live.manifest.exits), BACKBONE]
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["index", "prediction", "exit_index", "exit", "score"])
        for start in range(0, len(source), batch_size):
            indices = np.arange(start, min(start + batch_size, len(source)))
            inputs = source.inputs(indices)
            check_finite(inputs, source.name, start)
            outcome = fast(inputs)
            answers = live.task.predict(outcome.output.numpy())
            for index, answer, exit_, score in zip(
                indices, answers, outcome.exit_index.tolist(), outcome.score.tolist(), strict=True
            ):
                writer.writerow([index, answer, exit_, exits[exit_], f"{score:.6f}"])
            progress("running", int(indices[-1]) + 1, len(source))
