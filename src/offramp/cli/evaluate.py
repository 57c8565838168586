"""`offramp evaluate`: what a bundle does on data."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from offramp.cli.attached import attached
from offramp.cli.options import BundlePath, Data, FigurePath, Json, Labels, OptionalModel, Small, Weights, sizes_of
from offramp.cli.progress import bars
from offramp.cli.tables import evaluation_table, sets_table
from offramp.covering import PredictionSets
from offramp.errors import InputError
from offramp.evaluation import Evaluation
from offramp.evaluation import evaluate as evaluate_bundle
from offramp.looking import check_classes
from offramp.report.paths import SUFFIXES, figure_path
from offramp.types import BACKBONE


def evaluate(
    bundle: BundlePath,
    data: Data,
    model: OptionalModel = None,
    weights: Weights = None,
    small: Small = None,
    point: Annotated[list[str] | None, typer.Option(help="Only this operating point; repeatable.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="All operating points (the default).")] = False,
    labels: Annotated[
        bool | None, typer.Option("--labels/--no-labels", help="Insist on labels, or leave them unread.")
    ] = None,
    label_file: Labels = None,
    part: Annotated[
        str | None,
        typer.Option(help="report, all, or another part. Default: report on the build's own data, else all."),
    ] = None,
    batch_sizes: Annotated[str, typer.Option(help="Batch sizes at which time is measured; empty: no timing.")] = "1,32",
    timing_samples: Annotated[int, typer.Option(min=1, help="Samples per round of the timing.")] = 64,
    figure: FigurePath = None,
    reliability: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=f"Write reliability diagrams to this file ({', '.join(SUFFIXES)})."),
    ] = None,
    conformal: Annotated[
        float | None,
        typer.Option(metavar="ALPHA", help="Also test prediction sets that may miss this share, such as 0.1."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure a bundle: agreement with the plain model, accuracy if there are labels, cost, exit shares and time.

    On the data of the build only the report part is used: every other sample chose something. ECE and prediction sets
    are about the labels where they are read, else about the plain model's class.

    Examples:
      offramp evaluate bundle timm:resnet50 --data photos/ --figure front.png
      offramp evaluate bundle nets.py:resnet56 --data test.npz --json
      offramp evaluate bundle nets.py:resnet56 --data test.npz --point fast
      offramp evaluate bundle nets.py:net --data x.npz --conformal 0.1 --reliability r.png
    """
    if point and all_:
        raise InputError("expected either --point or --all, got both")
    sizes = sizes_of("--batch-sizes", batch_sizes)
    for file in (figure, reliability):
        if file is not None:
            figure_path(file)
    live, source = attached(bundle, model, weights, data, label_file, small=small)
    if reliability is not None:
        check_classes(live, "reliability diagrams")
    with bars() as progress:
        found = evaluate_bundle(
            live,
            source,
            points=point or None,
            labels=labels,
            part=part,
            batch_sizes=sizes,
            timing_samples=timing_samples,
            conformal=conformal,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(as_dict(found)))
    else:
        console = Console(soft_wrap=True)
        console.print(evaluation_table(found))
        if found.sets is not None:
            console.print(sets_table(found.sets, found.against))
    exits = [*(exit_.point for exit_ in live.manifest.exits), BACKBONE]
    if figure is not None:
        from offramp.report.front import front_figure

        front_figure(found, exits, figure)
        typer.echo(f"figure: {figure}", err=True)
    if reliability is not None:
        from offramp.report.reliability import reliability_figure

        reliability_figure(found, exits, reliability)
        typer.echo(f"reliability: {reliability}", err=True)


def as_dict(found: Evaluation) -> dict[str, Any]:
    """An evaluation as the documented JSON."""
    return {
        "backbone": {"accuracy": found.accuracy, "macs": found.macs, "measures": found.measures},
        "samples": found.samples,
        "part": found.part,
        "oracle_cost": found.oracle_cost,
        "points": [asdict(point) for point in found.points],
        "against": found.against,
        "exits": [{"ece": one.error, **asdict(one)} for one in found.exits],
        "conformal": None if found.sets is None else _sets_as_dict(found.sets),
    }


def _sets_as_dict(sets: PredictionSets) -> dict[str, Any]:
    """Prediction sets as JSON, with null for the mean over nobody."""
    found = asdict(sets)
    for by_kind in found["points"].values():
        for one in by_kind.values():
            for name in ("exit_coverage", "exit_size"):
                one[name] = [None if math.isnan(value) else value for value in one[name]]
    return found
