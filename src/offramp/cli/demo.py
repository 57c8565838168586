"""`offramp demo`: the whole job on real digits, offline."""

import json
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from offramp.bundle import MANIFEST, Bundle
from offramp.cli.app import StoppedError
from offramp.cli.progress import bars
from offramp.cli.tables import evaluation_table
from offramp.demo.digits import stream
from offramp.demo.network import DigitNet, digit_net
from offramp.errors import BundleError
from offramp.evaluation import Evaluation, evaluate
from offramp.findings import find
from offramp.load.models import LoadedModel
from offramp.load.preprocess import as_preprocess
from offramp.load.sources import open_source
from offramp.model.augment import Augment
from offramp.pipeline import build
from offramp.recipes import recipe
from offramp.sources import Source
from offramp.train.fit import Schedule
from offramp.types import BACKBONE

RECIPE = replace(
    recipe("heads-only"),
    augment=Augment(copies=4, flip=False, shift=0.08),
    points=8,
    schedule=Schedule(epochs=15),
)
"""Heads alone, in less time; a mirrored digit is no digit."""

TIMED = 64
"""Digits per round of the timing."""


def demo(
    out: Annotated[Path, typer.Option(metavar="BUNDLE", help="Folder for the bundle, a figure and a report.")] = Path(
        "demo-bundle"
    ),
    seed: Annotated[int, typer.Option(help="Seed of the split and the heads.")] = 0,
) -> None:
    """Do the whole job on 3,500 real MNIST digits and a small residual network: no labels, no network, about a minute.

    Example:
      offramp demo --out demo-bundle
    """
    start = time.perf_counter()
    overwrite = ours(out)
    if (out / MANIFEST).exists() and not overwrite:
        raise BundleError(f"expected an empty folder, got {out} with a bundle in it; choose another with --out")
    images, labels = stream()
    model = digit_net()
    preprocess = as_preprocess(model.preprocess, "the demo network")
    console = Console(soft_wrap=True)
    console.print(f"A residual network and {len(images)} digits it has never seen. No labels are used to build:")
    try:
        with bars() as progress:
            bundle = build(
                LoadedModel(model, None, preprocess),
                images,
                out=out,
                recipe=RECIPE,
                seed=seed,
                overwrite=overwrite,
                progress=progress,
            )
            source = open_source((images, labels), preprocess)
            found = evaluate(bundle, source, part="report", timing_samples=TIMED, progress=progress)
    except KeyboardInterrupt as error:
        raise StoppedError("interrupted; the same command goes on where it stopped") from error
    console.print(evaluation_table(found))
    console.print(story(found, bundle))
    console.print(f"bundle: {out}\n{shown(bundle, source, found, out)}\n{time.perf_counter() - start:.0f} s")


def shown(bundle: Bundle, source: Source, found: Evaluation, out: Path) -> str:
    """Draws the front, and writes the page of `offramp report` where Jinja is installed; says where they are."""
    from offramp.report.front import front_figure

    figure, page = out / "front.png", out / "report.html"
    front_figure(found, [*(exit_.point for exit_ in bundle.manifest.exits), BACKBONE], figure)
    if find_spec("jinja2") is None:
        return f"figure: {figure}\nreport: install Jinja for one (pip install 'offramp[report]')"
    from offramp.report.writing import written

    findings = find(bundle, source, part="report", timing=None)
    list(written(findings, page, [str(digit) for digit in range(10)], "Digits that leave early"))
    return f"figure: {figure}\nreport: {page}"


def ours(out: Path) -> bool:
    """Whether the bundle in `out`, if any, is an earlier demonstration and may be replaced."""
    if not (out / MANIFEST).exists():
        return False
    try:
        manifest = json.loads((out / MANIFEST).read_text())
        return bool(manifest["model"]["type"] == DigitNet.__name__)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def story(found: Evaluation, bundle: Bundle) -> str:
    """In words, what the point `balanced` does."""
    meant = bundle.point("balanced")
    best = next(point for point in found.points if point.name == meant.name)
    told = (
        f"At the point 'balanced' the network costs {100 * best.cost_ratio:.0f} % of its MACs and "
        f"{100 * best.time_ratio['32']:.0f} % of its time at batch 32 ({100 * best.time_ratio['1']:.0f} % at batch 1), "
        f"and answers like itself on {100 * best.agreement:.2f} % of {found.samples} digits kept aside."
    )
    bound = meant.bound
    if bound is None:
        return told
    return (
        f"{told}\nCertified {bound.holds}: {bound.risk} at most {100 * bound.epsilon:.3g} % "
        f"({bound.method}, n = {bound.n})."
    )
