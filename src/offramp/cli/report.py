"""`offramp report`: one page that shows what a bundle does."""

from pathlib import Path
from typing import Annotated

import typer

from offramp.backends import NAMES, check_backends
from offramp.benching import Timing
from offramp.cli.attached import attached
from offramp.cli.options import BundlePath, Data, Labels, OptionalModel, Small, Weights, sizes_of
from offramp.cli.progress import bars
from offramp.findings import Remembering, find
from offramp.load.optional import require
from offramp.memory import Origin
from offramp.report.paths import SUFFIXES, figure_suffix, file_path


def report(
    bundle: BundlePath,
    data: Data,
    out: Annotated[Path, typer.Option(metavar="FILE.html", help="Write the page to this file.")],
    model: OptionalModel = None,
    weights: Weights = None,
    small: Small = None,
    point: Annotated[str, typer.Option(help="The operating point that is shown closely.")] = "balanced",
    labels: Annotated[
        bool | None, typer.Option("--labels/--no-labels", help="Insist on labels, or leave them unread.")
    ] = None,
    label_file: Labels = None,
    part: Annotated[
        str | None,
        typer.Option(help="report, all, or another part. Default: report on the build's own data, else all."),
    ] = None,
    names: Annotated[
        Path | None,
        typer.Option("--class-names", metavar="FILE", help="Names of the classes, one a line, by their index."),
    ] = None,
    examples: Annotated[int, typer.Option(min=0, help="Samples shown of each kind and exit.")] = 4,
    backends: Annotated[
        str, typer.Option(help=f"Back ends that are timed, of {', '.join(NAMES)}; empty: no timing.")
    ] = "eager",
    batch_sizes: Annotated[str, typer.Option(help="Batch sizes at which time is measured.")] = "1,32",
    threads: Annotated[int, typer.Option(min=1, help="Threads of the timing.")] = 1,
    rounds: Annotated[int, typer.Option(min=4, help="Rounds of the timing, over which medians are taken.")] = 15,
    memory: Annotated[bool, typer.Option("--memory/--no-memory", help="Measure memory, in fresh processes.")] = True,
    title: Annotated[str | None, typer.Option(help="Title of the page.")] = None,
    figures: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Also write the figures to files in this folder.")
    ] = None,
    formats: Annotated[str, typer.Option(help=f"Of these files: {', '.join(SUFFIXES)}.")] = ".png,.pdf",
    markdown: Annotated[Path | None, typer.Option(metavar="FILE.md", help="Also write a summary for CI.")] = None,
) -> None:
    """Show a bundle on one page that needs no network: what it costs, what leaves where, how sure one can be.

    The page has the operating points with their certificates, real samples that leave at each exit, how each exit does
    at every threshold, reliability diagrams, measured time and memory, and where everything comes from. On the data of
    the build only the report part is used.

    Examples:
      offramp report bundle timm:resnet50 --data photos/ --out report.html
      offramp report bundle nets.py:resnet56 --data test.npz --out report.html --backends eager,onnx --threads 2
      offramp report bundle nets.py:net --data x.npz --out r.html --backends "" --no-memory --markdown summary.md
    """
    require("jinja2", "reports")
    from offramp.report.writing import class_names, written  # not above: drawing is slow to import

    for file in (out, *([markdown] if markdown else []), *([figures / "front.png"] if figures else [])):
        file_path(file)
    suffixes = [figure_suffix(kind) for kind in formats.split(",")]
    known = [] if names is None else class_names(names)
    sizes, wanted = sizes_of("--batch-sizes", batch_sizes), [name for name in backends.split(",") if name]
    check_backends(wanted)
    live, source = attached(bundle, model, weights, data, label_file, small=small)
    entry = live.manifest.model
    origin = Origin(bundle, model or str(entry.spec), entry.weights if weights is None else str(weights), small)
    with bars() as progress:
        found = find(
            live,
            source,
            point=point,
            labels=labels,
            part=part,
            count=examples,
            timing=Timing(sizes, wanted, threads, rounds) if wanted and sizes else None,
            remembering=Remembering(origin) if memory else None,
            progress=progress,
        )
    for file in written(found, out, known, title, figures, suffixes, markdown):
        typer.echo(f"wrote {file}")
