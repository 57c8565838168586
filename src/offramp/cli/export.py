"""`offramp export`: a folder of stages that runs without torch."""

from pathlib import Path
from typing import Annotated

import typer

from offramp.bundle import Bundle
from offramp.cli.attached import loaded_for, tokeniser_for
from offramp.cli.options import BundlePath, OptionalModel, Small, Weights
from offramp.cli.progress import bars
from offramp.exporting import export as export_bundle
from offramp.load.small import small_of


def export(
    bundle: BundlePath,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Empty folder for the stages.")],
    model: OptionalModel = None,
    weights: Weights = None,
    small: Small = None,
    kind: Annotated[
        str, typer.Option("--format", help="onnx, for ONNX Runtime and OpenVINO; or openvino, for the latter alone.")
    ] = "onnx",
    point: Annotated[
        list[str] | None, typer.Option(help="Operating point to export; repeatable. Default: the named ones.")
    ] = None,
) -> None:
    """Export a bundle: one file per stage and routing.json, run by ONNX Runtime or OpenVINO without torch.

    Each stage is run in ONNX Runtime and compared with the model before the folder is complete. The tokenizer of a
    model that takes texts is written beside them, so that the folder can be served texts.

    Examples:
      offramp export bundle timm:resnet50 --out stages
      offramp export bundle timm:resnet50 --format openvino --out stages
      offramp export bundle nets.py:resnet56 --weights r.th --out stages --point balanced --point fast
    """
    loaded = Bundle.load(bundle)
    network = loaded_for(loaded.manifest.model, model, weights)
    live = loaded.attach(network.model, small_of(loaded, small))
    tokeniser = tokeniser_for(loaded, network.preprocess, "exported")
    with bars() as progress:
        routing = export_bundle(live, out, point or None, progress, kind=kind, tokeniser=tokeniser)
    files = sum(len(stages) for stages in routing.cuts.values())
    for runtime, reason in routing.unfit.items():
        typer.echo(f"not to be run in {runtime}: {reason}", err=True)
    typer.echo(f"{files} stages for {', '.join(routing.points)}: {out}")
