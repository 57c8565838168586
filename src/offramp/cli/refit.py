"""`offramp refit`: the heads of a bundle taught further on what a server was asked lately."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from offramp.bundle import Bundle
from offramp.cli.app import StoppedError
from offramp.cli.attached import attached, loaded_for
from offramp.cli.options import BundlePath, OptionalModel, Small, Weights
from offramp.cli.plain import show_table
from offramp.cli.progress import bars
from offramp.errors import InputError
from offramp.load.audited import open_audited
from offramp.load.small import small_of
from offramp.refitting import Refitted
from offramp.refitting import refit as refitted
from offramp.split import Shares


def refit(
    bundle: BundlePath,
    out: Annotated[Path, typer.Option(metavar="BUNDLE", help="Folder to write the new bundle to.")],
    model: OptionalModel = None,
    kept: Annotated[
        Path | None, typer.Option(metavar="DIR", help="What a server kept: the folder of `offramp serve --keep`.")
    ] = None,
    data: Annotated[str | None, typer.Option(metavar="DATA", help="Or inputs of your own, as for build.")] = None,
    last: Annotated[int | None, typer.Option(min=1, help="So many of the newest kept inputs. [default: all]")] = None,
    weights: Weights = None,
    small: Small = None,
    split: Annotated[
        str | None,
        typer.Option(help="Shares for training / choosing / certifying / reporting. [default: of the build]"),
    ] = None,
    train: Annotated[
        bool, typer.Option("--train/--no-train", help="Teach heads; otherwise only choose and certify anew.")
    ] = True,
    seed: Annotated[int | None, typer.Option(help="Seed of the split. [default: of the build]")] = None,
) -> None:
    """Teach the heads of BUNDLE further on inputs as they come now, and certify them anew, without labels.

    The backbone, the places of the exits, and what was wanted stay. Ctrl-C loses nothing: the same command goes on.

    Examples:
      offramp serve bundle timm:resnet50 --keep kept --audit-share 0.05
      offramp refit bundle timm:resnet50 --kept kept --last 5000 --out bundle-2
      offramp refit bundle nets.py:resnet56 --data new.npz --no-train --out bundle-2
    """
    if (kept is None) == (data is None):
        raise InputError("expected either --kept DIR, of a server, or --data DATA, of your own; give one of them")
    if data is not None:
        live, source = attached(bundle, model, weights, data, small=small)
    else:
        assert kept is not None
        loaded = Bundle.load(bundle)
        live = loaded.attach(loaded_for(loaded.manifest.model, model, weights).model, small_of(loaded, small))
        source = open_audited(kept, last, named=isinstance(live.live.multi_exit.backbone.example, dict))
    shares = None if split is None else Shares.parse(split)
    try:
        with bars() as progress:
            found = refitted(live, source, out=out, shares=shares, train=train, seed=seed, progress=progress)
    except KeyboardInterrupt as error:
        raise StoppedError("interrupted; the same command goes on where it stopped") from error
    show_table(_table(found, len(source)))
    typer.echo(f"bundle: {out}")


def _table(found: Refitted, samples: int) -> Table:
    """Before and after at each level that is certified."""
    shown = Table(title=f"On the report part of {samples} new inputs, which taught and chose nothing")
    for head in ("", "certified", "cost", "disagreement"):
        shown.add_column(head)
    for name, points in (("before", found.before), ("after", found.after)):
        bounds = {point.name: point.bound for point in found.bundle.points} if name == "after" else {}
        levels: dict[float, tuple[float, float]] = {}
        for point in points:
            bound = bounds.get(point.name, point.bound)
            if bound is not None:
                least = levels.get(bound.epsilon, (2.0, 0.0))
                levels[bound.epsilon] = min(least, (point.cost, point.loss))
        for level, (cost, loss) in sorted(levels.items()):
            shown.add_row(name, f"{100 * level:g} %", f"{100 * cost:.1f} %", f"{100 * loss:.2f} %")
    return shown
