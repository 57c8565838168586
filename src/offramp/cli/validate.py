"""`offramp validate`: whether a bundle keeps what is asked of it, as an exit code."""

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from offramp.advise.validation import ROUNDS, Asked, Validation
from offramp.advise.validation import validate as validate_bundle
from offramp.backends import NAMES
from offramp.bundle import Bundle
from offramp.cli.attached import attached
from offramp.cli.options import BundlePath, Json, Labels, OptionalModel, Small, Weights
from offramp.cli.plain import plain_table, show_table
from offramp.cli.progress import bars

FAILS = 1
"""Exit code where something that was asked does not hold."""


def validate(
    bundle: BundlePath,
    model: OptionalModel = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="As for build. Without it nothing but the certificate is looked at."),
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(
            metavar="POINTS",
            help="Accuracy that may be lost, in points: 1 is 1 %; without labels, % answered otherwise.",
        ),
    ] = None,
    min_speedup: Annotated[
        float | None, typer.Option(metavar="TIMES", help="Time of the plain model over the time with exits, at least.")
    ] = None,
    point: Annotated[str, typer.Option(help="Operating point.")] = "balanced",
    certified: Annotated[
        bool, typer.Option("--certified", help="The bundle's certificate must promise --max-drop, too.")
    ] = False,
    backend: Annotated[str, typer.Option(help=f"Where time is measured: one of {', '.join(NAMES)}.")] = "eager",
    batch_size: Annotated[int, typer.Option(min=1, help="Samples at a time where time is measured.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Threads.")] = 1,
    rounds: Annotated[int, typer.Option(min=4, help="Rounds, over which medians are taken.")] = ROUNDS,
    labels: Annotated[
        bool | None, typer.Option("--labels/--no-labels", help="Insist on labels, or leave them unread.")
    ] = None,
    label_file: Labels = None,
    weights: Weights = None,
    small: Small = None,
    device: Annotated[str, typer.Option(help="Where eager and cuda-graphs run: cpu or cuda.")] = "cpu",
    as_json: Json = False,
) -> None:
    """Hold an operating point against limits: exit code 0 if all hold, 1 if not, 2 if the question is wrong.

    On the data of the build only the report part is used. Both models are timed in turn on the same real
    batches, drawn with repetition.

    Examples:
      offramp validate bundle timm:resnet50 --data photos/ --max-drop 0.5 --min-speedup 1.2 --backend onnx
      offramp validate bundle nets.py:net --data test.npz --max-drop 1 --point fast --certified
      offramp validate bundle --max-drop 1
    """
    asked = Asked(point, max_drop, min_speedup, certified, backend, batch_size, threads, rounds, labels)
    if data is None:
        found = validate_bundle(Bundle.load(bundle), None, asked)
    else:
        live, source = attached(bundle, model, weights, data, label_file, device, small)
        with bars() as progress:
            found = validate_bundle(live, source, asked, progress)
    if as_json:
        typer.echo(json.dumps(as_dict(found)))
    else:
        show_table(validation_table(found))
        for condition in found.conditions:
            if not condition.holds:
                typer.echo(f"fails: {condition.failure}")
    if found.doubt is not None:
        typer.echo(f"note: {found.doubt}", err=True)
    if not found.holds:
        raise typer.Exit(FAILS)


def as_dict(found: Validation) -> dict[str, Any]:
    """A validation as JSON."""
    conditions = [asdict(condition) | {"holds": condition.holds} for condition in found.conditions]
    return asdict(found) | {"holds": found.holds, "doubt": found.doubt, "conditions": conditions}


def validation_table(found: Validation) -> Table:
    """A row for each condition."""
    where = f"on {found.samples} samples" if found.samples else "by its certificate alone"
    part = " of the report part" if found.part == "report" else ""
    drawn = plain_table(
        f"{found.point} {where}{part}",
        ["condition", "asked", "found", "holds"],
        "±: one standard error" if any(condition.noise is not None for condition in found.conditions) else "",
    )
    for condition in found.conditions:
        sign, spread = "≤" if condition.at_most else "≥", ""
        if condition.noise is not None:
            spread = f" ± {condition.noise:.2f}"
        value = "-" if condition.found is None else f"{condition.found:.2f}{spread} {condition.unit}"
        drawn.add_row(condition.name, f"{sign} {condition.limit:g}", value, "yes" if condition.holds else "no")
    return drawn
