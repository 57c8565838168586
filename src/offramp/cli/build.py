"""`offramp build`: a model and unlabelled inputs in, a certified bundle out."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from offramp.bundle import Bundle
from offramp.cli.app import StoppedError
from offramp.cli.options import (
    SPLIT,
    Channels,
    Data,
    Json,
    Labels,
    MaxLength,
    Mean,
    ModelSpec,
    Points,
    Size,
    Std,
    Task,
    Weights,
    preprocess_of,
    sizes_of,
)
from offramp.cli.plain import show_table
from offramp.cli.progress import bars
from offramp.cli.tables import front_table, heads_table
from offramp.decide import guarantees
from offramp.errors import InputError
from offramp.learning import check_small
from offramp.load.models import load_model
from offramp.load.sources import open_source
from offramp.options import Options
from offramp.pipeline import build as build_bundle
from offramp.recipes import NAMES
from offramp.report.paths import SUFFIXES, figure_path
from offramp.split import Shares
from offramp.steps import steps


def build(
    model: ModelSpec,
    data: Data,
    out: Annotated[Path, typer.Option(metavar="BUNDLE", help="Folder to write the bundle to.")],
    weights: Weights = None,
    labels: Annotated[
        bool, typer.Option("--labels", help="Read labels: train on them, and bound the loss of accuracy.")
    ] = False,
    label_file: Labels = None,
    max_drop: Annotated[float, typer.Option(help="Risk wanted, as a share: 0.01 = one in a hundred answers.")] = 0.01,
    delta: Annotated[float, typer.Option(help="Probability that any certificate fails; crc takes none.")] = 0.1,
    guarantee: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help=f"What certificates promise: one of {', '.join(guarantees.NAMES)}. crc: on average, "
            "the others: with probability 1 - delta.",
        ),
    ] = guarantees.DEFAULT,
    split: Annotated[str, typer.Option(help="Shares for training heads / choosing / certifying / reporting.")] = SPLIT,
    extra_data: Annotated[
        list[str] | None,
        typer.Option(metavar="DATA", help="More unlabelled inputs to train heads with; repeatable."),
    ] = None,
    recipe: Annotated[str | None, typer.Option(help=f"One of {', '.join(NAMES)}.")] = None,
    points: Points = None,
    small: Annotated[
        str | None,
        typer.Option(metavar="SPEC", help="A small model that answers first, named as MODEL is; for --recipe cascade."),
    ] = None,
    small_weights: Annotated[Path | None, typer.Option(help="Weights of the small model.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the split, the heads and the augmentation.")] = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="Samples per backbone pass.")] = 128,
    batch_sizes: Annotated[
        str, typer.Option(help="Batch sizes at which segments and heads are timed; empty: no timing.")
    ] = "1,32",
    task: Task = None,
    search_heads: Annotated[
        int,
        typer.Option(
            metavar="TRIALS",
            min=0,
            help="Search for the head of each point: so many are tried there. Needs offramp[search]. 0: as the recipe "
            "says.",
        ),
    ] = 0,
    search_figure: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=f"Draw what the search found, and why ({', '.join(SUFFIXES)})."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle that is already there.")] = False,
    mean: Mean = None,
    std: Std = None,
    size: Size = None,
    channels: Channels = None,
    max_length: MaxLength = None,
    as_json: Json = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print the Python program that this build stands for, and do nothing.")
    ] = False,
) -> None:
    """Give MODEL early exits: train heads, choose thresholds and prove what they cost, without labels.

    Each part of the split has one purpose only. Ctrl-C loses nothing: the same command goes on.

    Examples:
      offramp build timm:resnet50 --weights r50.safetensors --data photos/ --out b
      offramp build nets.py:resnet56 --data test.npz --out b --max-drop 0.02
      offramp build nets.py:resnet56 --data test.npz --out b --recipe cascade --small nets.py:resnet20
      offramp build nets.py:resnet56 --data test.npz --out b --explain > steps.py
    """
    options = Options(
        max_drop=max_drop,
        delta=delta,
        guarantee=guarantee,
        shares=Shares.parse(split),
        recipe=recipe,
        points=points,
        labels=labels,
        seed=seed,
        batch_size=batch_size,
        timed=tuple(sizes_of("--batch-sizes", batch_sizes)),
        search_heads=search_heads,
        task=task,
    )
    check_small(options.chosen(), small is not None)
    _check_figure(options, search_figure)
    preprocess = preprocess_of(mean, std, size, channels, max_length)
    if explain:
        program = steps(
            model,
            data,
            out,
            weights=weights,
            extra_data=extra_data or (),
            options=options,
            preprocess=preprocess,
            label_file=label_file,
            small=small,
            small_weights=small_weights,
        )
        typer.echo(program, nl=False)
        return
    start = time.perf_counter()
    loaded = load_model(model, weights, preprocess=preprocess)
    try:
        with bars() as progress:
            bundle = build_bundle(
                loaded,
                open_source(data, loaded.preprocess, labels=label_file),
                out=out,
                extra_data=extra_data or (),
                small=small,
                small_weights=small_weights,
                options=options,
                overwrite=overwrite,
                progress=progress,
            )
    except KeyboardInterrupt as error:
        raise StoppedError("interrupted; the same command goes on where it stopped") from error
    _show(bundle, out, time.perf_counter() - start, search_figure, as_json)


def _check_figure(options: Options, path: Path | None) -> None:
    """Refuses a figure that could not be drawn, before any work is done, and an unknown recipe."""
    if options.chosen().head_search is None and path is not None:
        raise InputError("expected a search to draw with --search-figure, got none; add --search-heads 30")
    if path is not None:
        figure_path(path)


def _show(bundle: Bundle, out: Path, seconds: float, figure: Path | None, as_json: bool) -> None:
    found = bundle.manifest.provenance.get("head_search", ())
    if figure is not None:
        from offramp.report.heads import heads_figure  # not above: only who draws waits for matplotlib

        heads_figure(found, figure)
    if as_json:
        typer.echo(json.dumps({"bundle": str(out), "seconds": seconds, **summary(bundle)}))
        return
    for table in ([heads_table(found)] if found else []) + [front_table(bundle)]:
        show_table(table)
    for entry in (bundle.manifest.data, *bundle.manifest.extra_data):
        if entry.cut:
            length = (bundle.manifest.preprocess or {}).get("max_length")
            typer.echo(f"{entry.cut} of {entry.samples} texts in {entry.name} are cut behind {length} tokens")
    typer.echo(f"bundle: {out}  ({seconds:.0f} s)")


def summary(bundle: Bundle) -> dict[str, object]:
    """What a build says of itself as JSON."""
    entries = bundle.manifest.operating_points
    found = bundle.manifest.provenance.get("head_search")
    searched = {} if found is None else {"head_search": found}
    cut = {"cut": bundle.manifest.data.cut} if bundle.manifest.data.cut else {}
    points = [entry.model_dump(mode="json") for entry in entries]
    return {"risk": bundle.manifest.risk, "points": points, **cut, **searched}
