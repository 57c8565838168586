"""`offramp demo`: the whole job on real digits, offline."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from offramp.cli.progress import bars
from offramp.cli.tables import certificate, evaluation_table
from offramp.demo.digits import stream
from offramp.demo.network import digit_net
from offramp.evaluate import evaluate
from offramp.load.models import LoadedModel
from offramp.load.preprocess import as_preprocess
from offramp.load.sources import open_source
from offramp.model.augment import Augment
from offramp.pipeline import build
from offramp.recipes import recipe

RECIPE = replace(recipe("default"), augment=Augment(copies=4, flip=False, shift=0.08), points=8)
"""The default, but a mirrored digit is no digit."""


def demo(
    out: Annotated[Path, typer.Option(metavar="BUNDLE", help="Folder for the bundle and the figure.")] = Path(
        "demo-bundle"
    ),
    seed: Annotated[int, typer.Option(help="Seed of the split and the heads.")] = 0,
) -> None:
    """Do the whole job on 3,500 real MNIST digits and a small residual network: no labels, no network, about a minute.

    Example:
        offramp demo --out demo-bundle
    """
    from offramp.report.front import front_figure

    start = time.perf_counter()
    images, labels = stream()
    model = digit_net()
    preprocess = as_preprocess(model.preprocess, "the demo network")
    loaded = LoadedModel(model, None, preprocess)
    console = Console(soft_wrap=True)
    console.print(f"A residual network and {len(images)} digits it has never seen. No labels are used to build:")
    with bars() as progress:
        bundle = build(loaded, images, out=out, recipe=RECIPE, seed=seed, overwrite=True, progress=progress)
        source = open_source((images, labels), preprocess)
        found = evaluate(bundle, source, part="report", batch_sizes=(1, 32), progress=progress)
    console.print(evaluation_table(found))
    figure = out / "front.png"
    front_figure(found, [*(exit_.point for exit_ in bundle.manifest.exits), "backbone"], figure)
    best = next(point for point in found.points if point.name == "balanced")
    bound = bundle.point("balanced").bound
    console.print(
        f"At the point 'balanced' the network costs {100 * best.cost_ratio:.0f} % of its MACs and "
        f"{100 * best.time_ratio['32']:.0f} % of its time at batch 32 ({100 * best.time_ratio['1']:.0f} % at batch 1), "
        f"and answers like itself on {100 * best.agreement:.2f} % of {found.samples} digits kept aside."
    )
    if bound is not None:
        console.print(
            f"Certified with probability {1 - bound.delta:.2f}: {certificate(bound)} ({bound.method}, n = {bound.n})."
        )
    console.print(f"bundle: {out}\nfigure: {figure}\n{time.perf_counter() - start:.0f} s")
