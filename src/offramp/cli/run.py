"""`offramp run`: predictions of the model that leaves early."""

import csv
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from offramp.cli.attached import attached
from offramp.cli.options import BundlePath, Data, OptionalModel, Weights
from offramp.cli.progress import bars
from offramp.inputs import check_finite
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

    Examples:
        offramp run bundle timm:resnet50 --weights r50.safetensors --data photos/ --point fast --out answers.csv
    """
    live, source = attached(bundle, model, weights, data)
    fast = live.use(point)
    exits = [*(f"{exit_.point}/{exit_.head}" for exit_ in live.manifest.exits), BACKBONE]
    draft = out.with_suffix(out.suffix + ".part")
    with draft.open("w", newline="") as stream, bars() as progress:
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
    draft.replace(out)
    typer.echo(f"{len(source)} predictions: {out}")
