"""`offramp bench methods`: recipes side by side under one protocol."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from offramp.cli.method_tables import method_tables
from offramp.cli.options import FigurePath, Json
from offramp.cli.progress import bars
from offramp.comparing import compare
from offramp.errors import InputError
from offramp.kept_rows import Kept
from offramp.machine import machine
from offramp.method_bench import Bench
from offramp.method_config import MethodConfig
from offramp.report.paths import figure_path, file_path

VERSION = 3


def methods(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="What is compared; see below.")],
    out: Annotated[Path, typer.Option(metavar="FILE.json", help="Write the rows to this file.")],
    work: Annotated[Path | None, typer.Option(help="Folder of caches and finished rows; default beside --out.")] = None,
    device: Annotated[str, typer.Option(help="Where backbone and heads run, such as cuda.")] = "cpu",
    figure: FigurePath = None,
    as_json: Json = False,
) -> None:
    """Compare recipes on one backbone and data: same splits, and thresholds never chosen on the part that is reported.

    The config has `backbone`, `weights`, `data` (labelled), `recipes`, `seeds`, `split` (train/choose/certify/report),
    and may have `report_data` (labelled data of its own to report on), `extra_data` (unlabelled inputs for recipes
    without labels), `small` and `small_weights` (the small model of the recipe cascade) and `variants` of recipes,
    listed in `recipes` by name. Heads that recipes train alike are trained once. Finished rows and heads are kept in
    the work folder, so an interrupted comparison goes on.

    Examples:
      offramp bench methods compare.toml --out methods.json --figure methods.png

      # compare.toml
      backbone = "nets.py:net"
      weights = "net.safetensors"
      data = "test.npz"
      recipes = ["selfxit", "selfxit-equal", "dyce-labelfree", "offramp"]
      seeds = [0, 1, 2]
      split = "50/20/15/15"
      variants.selfxit-equal = {recipe = "selfxit", searcher = "tolerance-equal"}
    """
    asked = MethodConfig.read(config)
    file_path(out)
    if figure is not None:
        figure_path(figure)
    folder = work or out.with_suffix(".work")
    details = {name: repr((asked.chosen(name), asked.variants.get(name))) for name in asked.recipes}
    kept = Kept(folder / "rows", {**_asked(asked), **_stamps(asked)}, details)
    missing = {seed: [name for name in asked.recipes if not kept.has(name, seed)] for seed in asked.seeds}
    if any(missing.values()):
        with bars() as progress:
            bench = Bench.of(asked, folder, device)
            for seed, names in missing.items():
                compare(bench, names, seed, lambda row: kept.add(row.recipe, row.seed, asdict(row)), progress)
    rows = [kept.row(name, seed) for name in asked.recipes for seed in asked.seeds]
    found: Mapping[str, Any] = {
        "version": VERSION,
        "config": asked.model_dump(mode="json"),
        "machine": machine(),
        "rows": rows,
    }
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(found, indent=1) + "\n")
    except OSError as error:
        raise InputError(f"cannot write {out}: {error.strerror}; choose a file that can be written") from error
    if figure is not None:
        from offramp.report.methods import methods_figure  # not above: only who draws waits for matplotlib

        methods_figure(rows, figure)
    if as_json:
        typer.echo(json.dumps(found))
        return
    console = Console(soft_wrap=True)
    for table in method_tables(rows):
        console.print(table)
    console.print(f"rows: {out}" + (f"\nfigure: {figure}" if figure is not None else ""))


def _asked(asked: MethodConfig) -> dict[str, Any]:
    """The config without recipes and seeds; one without a small model is as before there could be one."""
    without = {"recipes", "variants", "seeds"} | ({"small", "small_weights"} if asked.small is None else set())
    return asked.model_dump(mode="json", exclude=without)


def _stamps(asked: MethodConfig) -> dict[str, Any]:
    """What finished rows depend on besides the names: sizes and times of files."""
    code = [spec.partition(":")[0] for spec in (asked.backbone, asked.small) if spec is not None]
    named = (*code, asked.weights, asked.small_weights, asked.data, asked.report_data, *asked.extra_data)
    files = [Path(name) for name in named if name is not None and Path(name).is_file()]
    stats = {str(file): (file.stat().st_size, file.stat().st_mtime_ns) for file in files}
    return {"version": VERSION, "files": stats}
