"""`offramp quantise`: a model with eight-bit arithmetic, as weights for the other commands."""

from pathlib import Path
from typing import Annotated

import typer

from offramp.cli.options import Data, ModelSpec, Task, Weights
from offramp.errors import InputError
from offramp.load.models import load_model
from offramp.load.quantised import SAMPLES, agreement, quantised
from offramp.load.sources import open_source
from offramp.load.weights import save_weights
from offramp.meant import meant
from offramp.options import Options
from offramp.pipeline import example_of

SUFFIX = ".safetensors"


def quantise(
    model: ModelSpec,
    data: Data,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write the weights of the quantised model.")],
    weights: Weights = None,
    samples: Annotated[int, typer.Option(min=1, help="Inputs that are looked at.")] = SAMPLES,
    transformer: Annotated[
        bool | None,
        typer.Option(help="Treat MODEL as a transformer. Default: where it computes attention."),
    ] = None,
    task: Task = None,
) -> None:
    """Round MODEL to eight bits, as unlabelled DATA demands, and write weights that stand in for its own.

    The other commands take them with --weights: exits are then trained, certified and exported on what INT8 computes.

    Examples:
      offramp quantise timm:resnet50 --weights r50.safetensors --data photos/ --out int8.safetensors
      offramp build timm:resnet50 --weights int8.safetensors --data photos/ --out b
    """
    if out.suffix != SUFFIX:
        raise InputError(f"expected a name that ends in {SUFFIX}, got {str(out)!r}")
    out.parent.mkdir(parents=True, exist_ok=True)  # before the work, not after it
    loaded = load_model(model, weights)
    source = open_source(data, loaded.preprocess)
    like = meant(Options(task=task), loaded.model, example_of(source), loaded.preprocess)
    rounded = quantised(loaded.model, source, samples=samples, transformer=transformer)
    save_weights(rounded, out)
    share, count = agreement(loaded.model, rounded, source, samples=samples, task=like)
    seen = "" if len(source) > samples else ", all of which it was quantised on"
    typer.echo(f"answers as before to {share:.1%} of {count} inputs{seen}: {out}")
