"""`offramp bench memory`: how much memory a bundle takes."""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from offramp.cli.attached import attached
from offramp.cli.options import BundlePath, Data, Json, OptionalModel, Small, Weights, sizes_of
from offramp.cli.plain import show_table
from offramp.cli.progress import bars
from offramp.cli.tables import memory_table
from offramp.errors import InputError
from offramp.looking import unseen
from offramp.machine import machine
from offramp.memory import BACKENDS, Origin, batches_of, grid
from offramp.report.paths import file_path


def memory(
    bundle: BundlePath,
    data: Data,
    model: OptionalModel = None,
    weights: Weights = None,
    small: Small = None,
    backends: Annotated[str, typer.Option(help=f"Of {', '.join(BACKENDS)}.")] = "eager",
    batch_sizes: Annotated[str, typer.Option(help="Batch sizes.")] = "1,32",
    point: Annotated[list[str] | None, typer.Option(help="Operating point; repeatable.")] = None,
    samples: Annotated[int, typer.Option(min=1, help="Samples that are run, in whole batches.")] = 128,
    threads: Annotated[int, typer.Option(min=1, help="Threads.")] = 1,
    out: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Write the rows to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Measure the memory of a bundle and of its plain model, each row in a fresh process on the processor.

    Size of the model and of the heads that a point asks; what torch allocates on the way through, per sample (no
    exported runtime shows that); peak resident memory after imports, after loading and after running. On the data of
    the build only the report part is used.

    Examples:
      offramp bench memory bundle timm:resnet50 --data photos/ --backends eager,onnx,openvino
      offramp bench memory bundle nets.py:net --data test.npz --point fast --batch-sizes 1,32 --out memory.json
    """
    if out is not None:
        file_path(out)
    names, sizes = backends.split(","), sizes_of("--batch-sizes", batch_sizes)
    if not sizes:
        raise InputError("expected at least one batch size; give --batch-sizes 1,32")
    live, source = attached(bundle, model, weights, data, small=small)
    source = unseen(live, source)
    entry = live.manifest.model
    origin = Origin(bundle, model or str(entry.spec), entry.weights if weights is None else str(weights), small)
    wanted = point or ["balanced", "fast", "fastest"]
    batches = {size: batches_of(source, size, samples) for size in sizes}
    with bars() as progress, tempfile.TemporaryDirectory(prefix="offramp-") as folder:
        rows = grid(live, origin, names, wanted, batches, Path(folder), threads, progress)
    found = {
        "machine": machine("onnxruntime", "openvino"),
        "threads": threads,
        "samples": {size: len(some) * size for size, some in batches.items()},
        "rows": [asdict(row) for row in rows],
    }
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(found, indent=1) + "\n")
    if as_json:
        typer.echo(json.dumps(found))
    else:
        show_table(memory_table(rows))
