"""`offramp analyze`: what bundles look like from within, and how they lie to each other."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from rich.table import Table

from offramp.analysis import PARTS
from offramp.analysis import analyze as analysis_of
from offramp.bundle import Bundle
from offramp.cli.attached import attached, loaded_for
from offramp.cli.options import BundlePath, Data, Json, Labels, OptionalModel, Small, Weights
from offramp.cli.plain import show_table
from offramp.cli.progress import bars
from offramp.errors import InputError, UnknownNameError
from offramp.geometry.settings import Moved, Settings
from offramp.load.small import small_of
from offramp.report.paths import figure_suffix, file_path

WORK = "work"
"""Folder in that of the results for what a killed analysis has found."""


def analyze(
    bundle: BundlePath,
    data: Data,
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder for analysis.json, figures, and what is under way.")
    ],
    model: OptionalModel = None,
    weights: Weights = None,
    small: Small = None,
    name: Annotated[str | None, typer.Option(help="What BUNDLE is called. Default: the name of its folder.")] = None,
    other: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]BUNDLE",
            help="A bundle of the same architecture and exits; repeatable. Those of one name are seeds of one regime.",
        ),
    ] = None,
    parts: Annotated[str, typer.Option(help="Parts, separated by commas.")] = ",".join(PARTS),
    labels: Annotated[
        bool | None, typer.Option("--labels/--no-labels", help="Insist on labels, or leave them unread.")
    ] = None,
    label_file: Labels = None,
    samples: Annotated[
        int, typer.Option(min=2, help="Samples that are looked at, drawn from the data.")
    ] = Settings.samples,
    grid: Annotated[int, typer.Option(min=3, help="Points of a side of landscapes and planes.")] = Settings.grid,
    reach: Annotated[float, typer.Option(help="How far landscapes go, as a multiple of the weights.")] = Settings.reach,
    move: Annotated[str, typer.Option(help="Whose weights landscapes move: all, backbone or heads.")] = Settings.moved,
    seed: Annotated[int, typer.Option(min=0, help="Of samples and directions.")] = Settings.seed,
    figures: Annotated[str, typer.Option(help="Kind of the figures: png, svg or pdf.")] = "png",
    as_json: Json = False,
) -> None:
    """Look into bundles: gradients, ranks, information, the loss around them and on the way between them.

    gradients: which exit pulls how hard at which part of the backbone. ranks: how many directions each layer uses.
    information: how much each layer says of inputs and answers, in nats. landscape: the loss around the weights.
    connectivity: the loss on the way to each --other, and on the plane through three. The loss is that of the task,
    against labels where they are read, else against the plain model's answers. What is found is kept under OUT/work,
    so a killed analysis goes on.

    Examples:
      offramp analyze bundle timm:resnet50 --data photos/ --out look --parts gradients,ranks
      offramp analyze disjoint nets.py:net --data train.npz --out look --other mixed --other joint
      offramp analyze a nets.py:net --data x.npz --out look --name mixed --other mixed=b --other joint=c
    """
    wanted, suffix = _parts(parts), figure_suffix(figures)
    file_path(out / "analysis.json")
    if not other and wanted == ["connectivity"]:
        raise InputError("expected another bundle for connectivity, got none; give --other BUNDLE")
    settings = Settings(samples=samples, grid=grid, reach=reach, moved=_moved(move), seed=seed)
    live, source = attached(bundle, model, weights, data, label_file, small=small)
    bundles = {name or bundle.resolve().name: [live]}
    for spec in other or []:
        called, folder = _named(spec)
        if "=" not in spec and called in bundles:
            raise InputError(
                f"expected names for bundles in folders of one name, got {called!r} again; give --other NAME={folder}"
            )
        bundles.setdefault(called, []).append(_other(folder, live, model, small))
    with bars() as progress:
        found = analysis_of(
            bundles, source, parts=wanted, labels=labels, settings=settings, work=out / WORK, progress=progress
        )
    from offramp.report.analyses import write_analysis

    files = write_analysis(found, out, suffix)
    if as_json:
        typer.echo(json.dumps(found))
    else:
        for table in _tables(found):
            show_table(table)
    if not other and "connectivity" in wanted:
        typer.echo("connectivity is left out: it needs another bundle, --other BUNDLE", err=True)
    if found["left_out"]:
        typer.echo(f"left out, networks of their own: exits at {', '.join(found['left_out'])}", err=True)
    typer.echo(f"wrote {', '.join(map(str, files))}", err=True)


def _parts(text: str) -> list[str]:
    wanted = [part.strip() for part in text.split(",") if part.strip()]
    for part in wanted:
        if part not in PARTS:
            raise UnknownNameError.among("part", part, PARTS)
    if not wanted:
        raise InputError(f"expected parts among {', '.join(PARTS)}, got none")
    return wanted


def _moved(part: str) -> Moved:
    for known in get_args(Moved):
        if part == known:
            found: Moved = known
            return found
    raise InputError(f"expected --move as one of {', '.join(get_args(Moved))}, got {part!r}")


def _named(spec: str) -> tuple[str, Path]:
    """The name and the folder of another bundle."""
    name, equals, folder = spec.partition("=")
    if not equals or Path(spec).exists():
        return Path(spec).resolve().name, Path(spec)
    if not name or not folder:
        raise InputError(f"expected --other as a folder or NAME=FOLDER, got {spec!r}")
    return name, Path(folder)


def _other(folder: Path, first: Bundle, model: str | None, small: str | None) -> Bundle:
    """Another bundle, on the first one's model or on one of its own: MODEL with the weights of its build."""
    bundle = Bundle.load(folder)
    live, entry = first.multi_exit, bundle.manifest.model
    if live is not None and entry.fingerprint == first.manifest.model.fingerprint:
        user = live.backbone.model if live.original is None else live.original
    else:
        user = loaded_for(entry, model, None).model
    return bundle.attach(user, small_of(bundle, small))


def _tables(found: Mapping[str, Any]) -> list[Table]:
    """What is told of each training, and of each pair."""
    told, parts = found["data"], found["parts"]
    title = f"{told['samples']} samples, {told['loss']}, against {told['against']}"
    columns = _columns(parts)
    tables = []
    if columns:
        table = Table("", *columns, title=title)
        for one in found["models"]:
            table.add_row(one["name"], *(value(one["name"]) for value in columns.values()))
        tables.append(table)
    lines: Sequence[Mapping[str, Any]] = parts.get("connectivity", {}).get("lines", [])
    if lines:
        table = Table("from", "to", "distance", "barrier, last exit", "barrier, mean of exits", title=title)
        for line in lines:
            heights = (line["barrier"][kind] for kind in ("last", "mean"))
            known = ("-" if one is None else f"{one['height']:.3f}" for one in heights)
            table.add_row(line["from"], line["to"], f"{line['distance']:.2f}", *known)
        tables.append(table)
    return tables


def _columns(parts: Mapping[str, Any]) -> dict[str, Any]:
    """By heading, what says it of a training by its name."""
    columns: dict[str, Any] = {}
    if "landscape" in parts:
        of = parts["landscape"]["models"]
        columns["loss, last exit"] = lambda name: _number(of[name]["here"][-1])
    if "gradients" in parts:
        pulls = parts["gradients"]["models"]
        columns["gradients of middle exits"] = lambda name: _number(pulls[name]["middle"])
    if "ranks" in parts:
        deep, ranks = parts["ranks"]["layers"][-2:][0], parts["ranks"]["models"]
        columns[f"effective rank, {deep}"] = lambda name: _number(ranks[name][deep]["effective"], 1)
    if "information" in parts:
        part = parts["information"]
        last, level = part["layers"][-2:][0], len(part["noises"]) // 2
        for kind, heading in (("inputs", "I(X;Z')"), ("answers_alike", "I(Z';Y)")):
            columns[f"{heading}, {last}, nats"] = lambda name, kind=kind: _span(part["models"][name][last], level, kind)
    return columns


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _span(levels: Sequence[Mapping[str, Any]] | None, level: int, kind: str) -> str:
    return "-" if levels is None else " to ".join(f"{value:.2f}" for value in levels[level][kind])
