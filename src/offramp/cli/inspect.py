"""`offramp inspect`: where a model can be left."""

import json
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from offramp.cli.options import (
    Channels,
    FigurePath,
    Json,
    Mean,
    ModelSpec,
    Size,
    Std,
    Weights,
    dimensions,
    preprocess_of,
)
from offramp.errors import InputError
from offramp.inputs import Inputs
from offramp.load.models import LoadedModel, load_model
from offramp.load.sources import open_source
from offramp.load.trial import tried
from offramp.model.points import Backbone, analyse
from offramp.report.paths import figure_path
from offramp.report.units import macs
from offramp.tasks.classification import Classification


def inspect(
    model: ModelSpec,
    weights: Weights = None,
    input_: Annotated[
        str | None,
        typer.Option("--input", metavar="1x3x32x32", help="Shape of an input, the batch axis first."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="DATA", help="Real inputs instead of a shape; as for build.")
    ] = None,
    mean: Mean = None,
    std: Std = None,
    size: Size = None,
    channels: Channels = None,
    figure: FigurePath = None,
    as_json: Json = False,
) -> None:
    """Show where MODEL can be left, and what has been spent there.

    Examples:
      offramp inspect timm:resnet50
      offramp inspect nets.py:resnet56 --input 1x3x32x32 --figure points.png
      offramp inspect transformers:./sentiment --data sentences.tsv --json
    """
    if figure is not None:
        figure_path(figure)
    loaded = load_model(model, weights, preprocess=preprocess_of(mean, std, size, channels))
    inputs = tried(loaded.model, example(loaded, input_, data), data or "--input")
    backbone = analyse(loaded.model, inputs, Classification().logits_of)
    if as_json:
        typer.echo(json.dumps({"model": model, "points": _points(backbone)}))
    else:
        _show(model, backbone)
    if figure is not None:
        from offramp.report.points import points_figure

        points_figure(backbone.points, backbone.macs, model, figure)
        typer.echo(f"figure: {figure}", err=True)


def example(loaded: LoadedModel, shape: str | None, data: str | None) -> Inputs:
    """Example inputs: real ones, made-up ones of a given shape, or of the shape the model's preprocessing says."""
    if data is not None and shape is not None:
        raise InputError("expected either --input or --data, got both")
    if data is not None:
        source = open_source(data, loaded.preprocess)
        return source.inputs(np.arange(min(2, len(source))))
    if shape is not None:
        return torch.randn(dimensions("--input", shape, 2, 6), generator=torch.Generator().manual_seed(0))
    size = getattr(loaded.preprocess, "size", None)
    if size is None:
        raise InputError("expected inputs to trace the model with; give --input 1x3x224x224 or --data DATA")
    channels = getattr(loaded.preprocess, "channels", 3)
    return torch.randn(2, channels, *size, generator=torch.Generator().manual_seed(0))


def _points(backbone: Backbone) -> list[dict[str, object]]:
    return [
        {
            "name": point.name,
            "index": point.index,
            "depth": point.depth,
            "feature_shape": list(point.feature_shape),
            "side_values": list(point.side_values),
        }
        for point in backbone.points
    ]


def _show(model: str, backbone: Backbone) -> None:
    sides = any(point.side_values for point in backbone.points)
    table = Table(title=f"{model}: {len(backbone.points)} exit points, {macs(backbone.macs)}")
    table.add_column("#", justify="right")
    table.add_column("point", overflow="fold")
    table.add_column("cost before it", no_wrap=True)
    table.add_column("feature", no_wrap=True)
    if sides:
        table.add_column("side values", overflow="fold")
    for point in backbone.points:
        bar = "█" * round(point.depth * 20)
        row = [
            str(point.index),
            point.name,
            f"{100 * point.depth:5.1f} % {bar}",
            "x".join(map(str, point.feature_shape)),
        ]
        table.add_row(*row, *([", ".join(point.side_values)] if sides else []))
    Console(soft_wrap=True).print(table)
