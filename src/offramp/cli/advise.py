"""`offramp advise`: whether early exits pay here, before a build and after."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from offramp.advise.advice import Advice
from offramp.advise.advising import Wishes, options_of
from offramp.advise.advising import advise as advise_about
from offramp.advise.alternatives import Rival, called
from offramp.advise.forecast import SAMPLES, Forecast, forecast
from offramp.advise.race import BACKENDS, installed
from offramp.benching import Timing
from offramp.bundle import MANIFEST, Bundle
from offramp.cli.advice_sheets import advice_sheets, forecast_sheet, notes_of, show
from offramp.cli.options import (
    SPLIT,
    Channels,
    Data,
    FigurePath,
    Json,
    Labels,
    MaxLength,
    Mean,
    ModelSpec,
    Points,
    Size,
    Small,
    Std,
    Task,
    Weights,
    preprocess_of,
    sizes_of,
)
from offramp.cli.progress import bars
from offramp.load.models import LoadedModel, load_model
from offramp.load.preprocess import preprocess_from_manifest
from offramp.load.small import small_of
from offramp.load.sources import open_source
from offramp.load.trial import tried
from offramp.machine import machine
from offramp.meant import meant
from offramp.model.points import analyse
from offramp.options import Options
from offramp.pipeline import build, example_of
from offramp.progress import Progress
from offramp.reading import reader
from offramp.report.paths import figure_path, file_path
from offramp.sources import Source
from offramp.split import Shares
from offramp.tasks import task as task_of
from offramp.tasks.task import Task as Meaning

VERSION = 1
"""Of the JSON file."""


def advise(
    model: ModelSpec,
    data: Data,
    weights: Weights = None,
    rival: Annotated[
        list[str] | None,
        typer.Option(metavar="SPEC[=WEIGHTS]", help="A smaller model, named as MODEL is; repeatable."),
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option(metavar="BUNDLE", help="Exits that were built; with --build: where to build them.")
    ] = None,
    build_: Annotated[
        bool, typer.Option("--build", help="Build exits that are not there yet, in --bundle or else in --work.")
    ] = False,
    small: Small = None,
    recipe: Annotated[str | None, typer.Option(help="Of the build. Default: that of the bundle, or as build.")] = None,
    max_drop: Annotated[
        float | None, typer.Option(help="Risk wanted, as a share: 0.01 is 1 %. Default: that of the bundle, or 0.01.")
    ] = None,
    split: Annotated[str, typer.Option(help="Shares for training / choosing / certifying / reporting.")] = SPLIT,
    points: Points = None,
    seed: Annotated[int, typer.Option(help="Seed of the split and of what is built.")] = 0,
    task: Task = None,
    labels: Annotated[
        bool | None, typer.Option("--labels/--no-labels", help="Insist on labels, or leave them unread.")
    ] = None,
    label_file: Labels = None,
    int8: Annotated[
        bool | None,
        typer.Option("--int8/--no-int8", help="MODEL in eight bits. Default: beside exits, where NNCF is installed."),
    ] = None,
    int8_exits: Annotated[
        bool, typer.Option("--int8-exits/--no-int8-exits", help="Build exits on eight bits, too.")
    ] = True,
    samples: Annotated[int, typer.Option(min=200, help="Samples that a forecast looks at, at most.")] = SAMPLES,
    batch_sizes: Annotated[str, typer.Option(help="Batch sizes at which time is measured; empty: no timing.")] = "1,32",
    backends: Annotated[
        str, typer.Option(help="Back ends among which the fastest is looked for, as far as they are installed.")
    ] = ",".join(BACKENDS),
    threads: Annotated[int, typer.Option(min=1, help="Threads.")] = 1,
    rounds: Annotated[int, typer.Option(min=2, help="Rounds, over which medians are taken.")] = 15,
    work: Annotated[
        Path, typer.Option(metavar="DIR", help="Where passes and what is built on the way are kept.")
    ] = Path("advice"),
    out: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Write all figures to this file.")] = None,
    markdown: Annotated[Path | None, typer.Option(metavar="FILE.md", help="Write the tables to this file.")] = None,
    figure: FigurePath = None,
    mean: Mean = None,
    std: Std = None,
    size: Size = None,
    channels: Channels = None,
    max_length: MaxLength = None,
    as_json: Json = False,
) -> None:
    """Say whether early exits pay for MODEL on this machine, and what else there is.

    Without exits: a forecast from ridge probes and measured stage times, and the rivals if there are any. With
    --bundle or --build: a table at equal accuracy of the exits, rivals, two-model cascades, eight bits, eight bits
    with exits, and the plain model on its fastest back end. What was trained and chosen is measured on other samples.

    Examples:
      offramp advise timm:resnet50 --data photos/
      offramp advise nets.py:resnet56 --data test.npz --rival nets.py:resnet20=r20.pt --build --figure table.png
      offramp advise nets.py:resnet56 --data test.npz --bundle b --rival nets.py:resnet20=r20.pt --no-int8
    """
    for file in (out, markdown):
        if file is not None:
            file_path(file)
    if figure is not None:
        figure_path(figure)
    file_path(work / MANIFEST)
    sizes, rivals = sizes_of("--batch-sizes", batch_sizes), [_rival(one) for one in rival or ()]
    loaded = load_model(model, weights, preprocess=preprocess_of(mean, std, size, channels, max_length))
    exits = bundle or work / "exits"
    found = Bundle.load(exits) if bundle is not None and not build_ else _there(exits, build_)
    if found is not None and found.manifest.preprocess is not None:
        loaded = replace(loaded, preprocess=preprocess_from_manifest(found.manifest.preprocess, loaded.preprocess))
    source = open_source(data, loaded.preprocess, labels=label_file)
    wish = Options(
        max_drop=0.01 if max_drop is None else max_drop,
        shares=Shares.parse(split),
        recipe=recipe,
        points=points,
        seed=seed,
    )
    wish = _about(loaded, source, replace(wish, task=task))
    timing = None if not sizes else Timing(sizes, installed(backends.split(",")), threads, rounds)
    foreseen: Forecast | None = None
    with bars() as progress:
        if found is None:
            if _task(wish).means.classes or not build_:  # of other tasks nothing is foreseen, but all is built
                foreseen = _foreseen(loaded, source, wish, samples, sizes, threads, progress)
            if build_:
                found = build(loaded, source, out=exits, options=replace(wish, timed=()), progress=progress)
        else:
            wish = options_of(found, recipe, max_drop)
            found = found.attach(loaded.model, small_of(found, small))
        told: Advice | None = None
        notes: tuple[str, ...] = ()
        if found is not None or rivals:
            wishes = Wishes(wish, labels, int8, int8_exits, timing)
            told, notes = advise_about(loaded, source, _task(wish), found, rivals, wishes, work, progress)
    sheets = [] if foreseen is None else [forecast_sheet(foreseen)]
    sheets += [] if told is None else advice_sheets(told)
    result = {"version": VERSION, "machine": machine("onnxruntime", "openvino", "nncf"), "threads": threads}
    given = found is not None and foreseen is None and (seed, points, split) != (0, None, SPLIT)
    result |= notes_of(foreseen, told, (*notes, *_unheeded(given, figure is not None and told is None)))
    show(sheets, result, out, markdown, as_json)
    if figure is not None and told is not None:
        from offramp.report.advice import advice_figure  # not above: only who draws waits for matplotlib

        advice_figure(told, figure)
        typer.echo(f"figure: {figure}", err=True)


def _unheeded(given: bool, drawn: bool) -> list[str]:
    """What was asked for and is not done."""
    said = ["--seed, --points and --split are those of the bundle, which was there already"] if given else []
    return [*said, "no figure is drawn of a forecast; give --bundle, --build or --rival"] if drawn else said


def _there(folder: Path, wanted: bool) -> Bundle | None:
    """A bundle that an earlier call has built."""
    return Bundle.load(folder) if wanted and (folder / MANIFEST).exists() else None


def _about(loaded: LoadedModel, source: Source, wish: Options) -> Options:
    """The options, with the task that the model is for."""
    example = tried(loaded.model, example_of(source), source.name)
    return replace(wish, task=meant(wish, loaded.model, example, loaded.preprocess).name)


def _task(wish: Options) -> Meaning:
    return task_of(wish.task or "classification")


def _foreseen(
    loaded: LoadedModel,
    source: Source,
    wish: Options,
    samples: int,
    sizes: list[int],
    threads: int,
    progress: Progress,
) -> Forecast:
    task = _task(wish)
    backbone = analyse(loaded.model, example_of(source), reader(task))
    return forecast(
        backbone, task, source, wish, samples=samples, batch_sizes=sizes, threads=threads, progress=progress
    )


def _rival(text: str) -> Rival:
    """A rival as it is named."""
    spec, weights = _named(text)
    loaded = load_model(spec, weights)
    return Rival(called(loaded), loaded)


def _named(text: str) -> tuple[str, str | None]:
    """A model, and behind = its weights.

    >>> _named("nets.py:resnet20=weights/r20.pt"), _named("timm:resnet18")
    (('nets.py:resnet20', 'weights/r20.pt'), ('timm:resnet18', None))
    """
    spec, _, weights = text.partition("=")
    return spec, weights or None
