"""`offramp bench speed`: how fast a bundle really is."""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console

from offramp.backends import NAMES, executors
from offramp.cli.attached import attached
from offramp.cli.options import BundlePath, Data, Json, OptionalModel, Weights, sizes_of
from offramp.cli.progress import bars
from offramp.cli.tables import speed_table
from offramp.errors import InputError
from offramp.inputs import Inputs
from offramp.load.combine import subset
from offramp.report.paths import file_path
from offramp.sources import Source
from offramp.speed import grid

bench = typer.Typer(help="Measurements.", no_args_is_help=True)

LEAST = 40
"""Samples in a round at least, so that what leaves early in one is much alike."""


@bench.command("speed")
def speed(
    bundle: BundlePath,
    data: Data,
    model: OptionalModel = None,
    weights: Weights = None,
    backends: Annotated[str, typer.Option(help=f"Of {', '.join(NAMES)}.")] = "eager",
    batch_sizes: Annotated[str, typer.Option(help="Batch sizes.")] = "1,8,32,128",
    point: Annotated[list[str] | None, typer.Option(help="Operating point; repeatable.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads.")] = 1,
    rounds: Annotated[int, typer.Option(min=3, help="Rounds, over which medians are taken.")] = 15,
    out: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Write the rows to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Time a bundle against its plain model: back ends x batch sizes x operating points, interleaved in one process.

    Each row: milliseconds per batch, the ratio to the uncut model on the same back end, what the saved MACs would make
    it (ideal), and how much of that is achieved. `exits-off` asks all exits and lets nobody leave; `planned` uses a
    point only where a measurement on other rounds said that it is faster. On the data of the build only the report
    part is used.

    Examples:
      offramp bench speed bundle timm:resnet50 --data photos/ --backends eager,onnx,openvino --threads 2
      offramp bench speed bundle nets.py:net --data test.npz --point fast --batch-sizes 1,32 --out speed.json
    """
    if out is not None:
        file_path(out)
    names, sizes = backends.split(","), sizes_of("--batch-sizes", batch_sizes)
    if not sizes:
        raise InputError("expected at least one batch size; give --batch-sizes 1,8")
    live, source = attached(bundle, model, weights, data)
    assert live.multi_exit is not None
    if source.fingerprint() == live.manifest.data.fingerprint:  # of those that trained heads more would leave
        source = subset(source, live.splits["report"])
    wanted = list(dict.fromkeys(live.point(name).name for name in point or ("balanced", "fast", "fastest")))
    configurations = {name: live.point(name).configuration for name in wanted}
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with bars() as progress, tempfile.TemporaryDirectory(prefix="offramp-") as folder:
            made = executors(live, names, wanted, Path(folder), threads, progress)
            given = {size: _rounds(source, size, rounds) for size in sizes}
            multi_exit = live.multi_exit
            rows = grid(made, configurations, multi_exit.point_of, multi_exit.macs(), given, progress)
    finally:
        torch.set_num_threads(before)
    found = {"threads": threads, "rows": [{**asdict(row), "threads": threads} for row in rows]}
    if out is not None:
        out.write_text(json.dumps(found, indent=1) + "\n")
    if as_json:
        typer.echo(json.dumps(found))
    else:
        Console(soft_wrap=True).print(speed_table(rows))


def _rounds(source: Source, size: int, rounds: int) -> list[list[Inputs]]:
    """Random batches; each round has at least `LEAST` samples."""
    generator = np.random.default_rng(size)
    count = max(1, -(-LEAST // size))

    def draw() -> Inputs:
        return source.inputs(np.sort(generator.integers(0, len(source), size)))

    return [[draw() for _ in range(count)] for _ in range(rounds)]
