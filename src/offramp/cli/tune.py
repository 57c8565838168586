"""`offramp tune`: operating points for a back end, chosen by measured seconds."""

from pathlib import Path
from typing import Annotated

import typer

from offramp.backends import NAMES
from offramp.cli.attached import attached
from offramp.cli.options import BundlePath, Data, OptionalModel, Small, Weights, shares_of
from offramp.cli.plain import show_table
from offramp.cli.progress import bars
from offramp.cli.tables import front_table
from offramp.errors import BundleError
from offramp.tune import tune as tuned


def tune(
    bundle: BundlePath,
    data: Data,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the new bundle.")],
    model: OptionalModel = None,
    weights: Weights = None,
    small: Small = None,
    backend: Annotated[str, typer.Option(help=f"What it will run on: {', '.join(NAMES)}.")] = "eager",
    batch_sizes: Annotated[
        str,
        typer.Option(help="Batch sizes that will come; with shares of the samples where they differ: 1:0.2,32:0.8."),
    ] = "1",
    device: Annotated[str, typer.Option(help="Where eager and cuda-graphs run: cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="Threads.")] = 1,
) -> None:
    """Choose exits and thresholds anew by measured seconds, for a back end and a mix of batch sizes.

    DATA is that of the build. Stages are timed on this machine, so run it where the model will run, with nothing else
    running. Heads stay as they are. The new points are certified like the old ones, by what PyTorch computes: a back
    end of another precision (openvino-bf16) may answer a little otherwise.

    Examples:
      offramp tune bundle timm:resnet50 --data photos/ --backend onnx --batch-sizes 1,32 --out tuned
      offramp tune bundle nets.py:net --data x.npz --backend openvino --batch-sizes 1:0.2,32:0.8 --threads 2 --out tuned
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BundleError(f"expected an empty folder, got {out} with something in it; choose another")
    mix = shares_of("--batch-sizes", batch_sizes)
    live, source = attached(bundle, model, weights, data, device=device, small=small)
    with bars() as progress:
        found = tuned(live, source, backend, mix, threads, progress=progress)
    found.save(out)
    show_table(front_table(found))
    typer.echo(f"bundle for {backend}: {out}")
