"""`offramp inspect`: where a model can be left."""

import json
from typing import Annotated

import numpy as np
import torch
import typer
from rich.table import Table

from offramp.cli.options import (
    Channels,
    FigurePath,
    Json,
    MaxLength,
    Mean,
    ModelSpec,
    Size,
    Std,
    Weights,
    dimensions,
    preprocess_of,
)
from offramp.cli.plain import show_table
from offramp.errors import InputError
from offramp.inputs import Inputs, batch_size
from offramp.inputs import select as select_samples
from offramp.load.models import LoadedModel, load_model
from offramp.load.sources import open_source
from offramp.load.trial import tried
from offramp.model.backbone import Backbone
from offramp.model.points import analyse
from offramp.model.selection import select
from offramp.proposal import Survey, survey
from offramp.reading.answer import answer_of
from offramp.report.paths import figure_path
from offramp.report.units import macs
from offramp.types import ExitPoint


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
    max_length: MaxLength = None,
    explain: Annotated[
        str | None, typer.Option(metavar="POINT", help="Say in words what is known of this point, and leave.")
    ] = None,
    samples: Annotated[int, typer.Option(min=2, help="Samples of DATA that the probe looks at.")] = 256,
    figure: FigurePath = None,
    as_json: Json = False,
) -> None:
    """Show where MODEL can be left, what has been spent there, and which places are proposed.

    With --data a linear probe says how much of the backbone's answer each place knows already.

    Examples:
      offramp inspect timm:resnet50
      offramp inspect timm:resnet50 --data photos/ --explain layer3.2
      offramp inspect nets.py:resnet56 --input 1x3x32x32 --figure points.png
      offramp inspect transformers:./sentiment --data sentences.tsv --json
    """
    if figure is not None:
        figure_path(figure)
    loaded = load_model(model, weights, preprocess=preprocess_of(mean, std, size, channels, max_length))
    inputs = example(loaded, input_, data, samples)
    few = select_samples(inputs, torch.arange(min(2, batch_size(inputs))))
    backbone = analyse(loaded.model, tried(loaded.model, few, data or "--input"), answer_of)
    asked = None if explain is None else _one(backbone, explain)
    found = survey(backbone, answer_of, inputs)
    if asked is not None:
        typer.echo(f"{asked.name}: {found.reason(asked.index)}")
        return
    if as_json:
        typer.echo(json.dumps({"model": model, "points": _points(backbone), "proposed": _proposed(found)}))
    else:
        _show(model, backbone, found)
    if figure is not None:
        from offramp.report.points import points_figure

        points_figure(found, backbone.macs, model, figure)
        typer.echo(f"figure: {figure}", err=True)


def _one(backbone: Backbone, wish: str) -> ExitPoint:
    found = select(backbone.points, wish, 1)
    if len(found) != 1:
        raise InputError(f"expected one point to explain, got {len(found)} for {wish!r}; name one of them")
    return found[0]


def example(loaded: LoadedModel, shape: str | None, data: str | None, samples: int) -> Inputs:
    """Example inputs: real ones, made-up ones of a given shape, or of the shape the model's preprocessing says."""
    if data is not None and shape is not None:
        raise InputError("expected either --input or --data, got both")
    if data is not None:
        source = open_source(data, loaded.preprocess)
        evenly = np.linspace(0, len(source) - 1, min(samples, len(source))).astype(np.int64)
        return source.inputs(evenly)
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


def _proposed(found: Survey) -> list[dict[str, object]]:
    return [
        {
            "name": found.points[index].name,
            "gain": gain,
            "time": float(found.time[index]),
            "agreement": None if found.agreement is None else float(found.agreement[index]),
            "reason": found.reason(index),
        }
        for index, gain in found.ranked
    ]


def _show(model: str, backbone: Backbone, found: Survey) -> None:
    sides = any(point.side_values for point in backbone.points)
    rank = {index: str(place) for place, (index, _) in enumerate(found.ranked, start=1)}
    caption = "time: measured share before it; pick: the proposed points, the most useful first"
    table = Table(title=f"{model}: {len(backbone.points)} exit points, {macs(backbone.macs)}", caption=caption)
    table.add_column("#", justify="right")
    table.add_column("point", overflow="fold")
    table.add_column("MACs before it", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    if found.agreement is not None:
        table.add_column("probe", justify="right", no_wrap=True)
    table.add_column("pick", justify="right", no_wrap=True)
    table.add_column("feature", no_wrap=True)
    if sides:
        table.add_column("side values", overflow="fold")
    for point in backbone.points:
        bar = "█" * round(point.depth * 8)
        row = [
            str(point.index),
            point.name,
            f"{100 * point.depth:5.1f} % {bar}",
            f"{100 * found.time[point.index]:.0f} %",
            *([] if found.agreement is None else [f"{100 * found.agreement[point.index]:.0f} %"]),
            rank.get(point.index, ""),
            "x".join(map(str, point.feature_shape)),
        ]
        table.add_row(*row, *([", ".join(point.side_values)] if sides else []))
    show_table(table)
