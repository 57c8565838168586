"""`offramp bench speed`: how fast a bundle really is."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from offramp.backends import NAMES
from offramp.benching import POINTS, bench
from offramp.cli.attached import attached
from offramp.cli.options import BundlePath, Data, Json, OptionalModel, Small, Weights, sizes_of
from offramp.cli.plain import show_table
from offramp.cli.progress import bars
from offramp.cli.tables import speed_table
from offramp.machine import machine
from offramp.report.paths import figure_path, file_path
from offramp.speed import SpeedRow

VERSION = 1
"""Of the JSON file."""


def speed(
    bundle: BundlePath,
    data: Data,
    model: OptionalModel = None,
    weights: Weights = None,
    small: Small = None,
    backends: Annotated[str, typer.Option(help=f"Of {', '.join(NAMES)}.")] = "eager",
    batch_sizes: Annotated[str, typer.Option(help="Batch sizes.")] = "1,8,32,128",
    point: Annotated[list[str] | None, typer.Option(help="Operating point; repeatable.")] = None,
    device: Annotated[str, typer.Option(help="Where eager and cuda-graphs run: cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="Threads.")] = 1,
    rounds: Annotated[int, typer.Option(min=4, help="Rounds, over which medians are taken.")] = 15,
    out: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Write the rows to this file.")] = None,
    figure: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw the grid to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Time a bundle against its plain model: back ends x batch sizes x operating points, interleaved in one process.

    Each row: milliseconds per batch, the ratio to the uncut model on the same back end, what the saved MACs would make
    it (ideal), how much of that is achieved, the ratio to the uncut model where that is fastest, and which share has
    to leave early to break even. `exits-off` asks all exits and lets nobody leave; `planned` uses the fastest point
    that promises no less, or the uncut model, by a measurement on other rounds. The plain model is timed on every back
    end that is installed, but compile. On the data of the build only the report part is used. The file also has
    p50, p95 and p99.

    Examples:
      offramp bench speed bundle timm:resnet50 --data photos/ --backends eager,onnx,openvino --threads 2
      offramp bench speed bundle nets.py:net --data test.npz --point fast --batch-sizes 1,32 --figure speed.png
      offramp bench speed bundle timm:resnet50 --data photos/ --device cuda --backends eager,cuda-graphs
    """
    if out is not None:
        file_path(out).parent.mkdir(parents=True, exist_ok=True)
    if figure is not None:
        figure_path(figure)
    sizes = sizes_of("--batch-sizes", batch_sizes)
    live, source = attached(bundle, model, weights, data, device=device, small=small)
    with bars() as progress:
        rows = bench(live, source, backends.split(","), sizes, point or POINTS, threads, rounds, progress)
    found = result(rows, threads)
    if out is not None:
        out.write_text(json.dumps(found, indent=1) + "\n")
    if figure is not None:
        from offramp.report.speed import speed_figure  # not above: drawing is slow to import

        speed_figure(rows, f"{live.manifest.model.type}, {threads} thread{'s' * (threads > 1)}", figure)
    if as_json:
        typer.echo(json.dumps(found))
    else:
        show_table(speed_table(rows))


def result(rows: Sequence[SpeedRow], threads: int) -> dict[str, Any]:
    """What is written: the rows, and the machine they were measured on."""
    facts = {**machine("onnxruntime", "openvino"), "threads": threads}
    return {"version": VERSION, "machine": facts, "rows": [asdict(row) for row in rows]}
