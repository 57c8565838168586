"""`offramp build`: a model and unlabelled inputs in, a certified bundle out."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from offramp.bundle import Bundle
from offramp.cli.options import Data, Json, Mean, ModelSpec, Size, Std, Weights, loaded_model
from offramp.cli.progress import bars
from offramp.cli.tables import front_table
from offramp.pipeline import Options
from offramp.pipeline import build as build_bundle
from offramp.recipes import NAMES
from offramp.split import Shares


def build(
    model: ModelSpec,
    data: Data,
    out: Annotated[Path, typer.Option(metavar="BUNDLE", help="Folder to write the bundle to.")],
    weights: Weights = None,
    labels: Annotated[
        bool, typer.Option("--labels", help="Read labels: train on them, and bound the loss of accuracy.")
    ] = False,
    max_drop: Annotated[float, typer.Option(help="Risk wanted, as a share: 0.01 = one in a hundred answers.")] = 0.01,
    delta: Annotated[float, typer.Option(help="Probability that any certificate fails.")] = 0.1,
    split: Annotated[
        str, typer.Option(help="Shares for training heads / choosing / certifying / reporting.")
    ] = "50/15/20/15",
    extra_data: Annotated[
        list[str] | None,
        typer.Option(metavar="DATA", help="More unlabelled inputs to train heads with; repeatable."),
    ] = None,
    recipe: Annotated[str | None, typer.Option(help=f"One of {', '.join(NAMES)}.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the split, the heads and the augmentation.")] = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="Samples per backbone pass.")] = 128,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle that is already there.")] = False,
    mean: Mean = None,
    std: Std = None,
    size: Size = None,
    as_json: Json = False,
) -> None:
    """Give MODEL early exits: train heads, choose thresholds and prove what they cost, without labels.

    The four parts of the split are used for one purpose each. Ctrl-C loses nothing: the same command goes on.

    Examples:
        offramp build timm:resnet50 --weights resnet50.safetensors --data photos/ --out bundle

        offramp build nets.py:resnet56 --weights resnet56.th --data test.npz --extra-data more.npz --out b
    """
    options = Options(max_drop, delta, Shares.parse(split), recipe, labels, seed, batch_size)
    start = time.perf_counter()
    loaded = loaded_model(model, weights, mean, std, size)
    with bars() as progress:
        bundle = build_bundle(
            loaded,
            data,
            out=out,
            extra_data=extra_data or (),
            options=options,
            overwrite=overwrite,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps({"bundle": str(out), "seconds": time.perf_counter() - start, **summary(bundle)}))
    else:
        Console(soft_wrap=True).print(front_table(bundle))
        typer.echo(f"bundle: {out}  ({time.perf_counter() - start:.0f} s)")


def summary(bundle: Bundle) -> dict[str, object]:
    """What a build says of itself as JSON."""
    entries = bundle.manifest.operating_points
    return {"risk": bundle.manifest.risk, "points": [entry.model_dump(mode="json") for entry in entries]}
