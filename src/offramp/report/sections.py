"""The findings of a report as sentences and tables of words, for a page and for a summary alike."""

from collections.abc import Sequence
from dataclasses import dataclass

from offramp.deployed import UNCUT
from offramp.evaluation import Evaluated
from offramp.findings import Findings
from offramp.report.few import few
from offramp.report.units import macs, percent, size
from offramp.speed import PLANNED
from offramp.types import Bound


@dataclass(frozen=True)
class Rows:
    """A table.

    Attributes:
        head: names of the columns.
        body: one row each.
        marked: number of the row that is shown closely; None: none.
    """

    head: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]
    marked: int | None = None


def verdict(found: Findings) -> str:
    """What the chosen operating point does, in one paragraph."""
    point, evaluation = found.shown, found.evaluation
    said = [
        f"At the operating point {point.name}, {percent(1 - point.exit_share[-1])} of the samples leave early, and an "
        f"answer takes {percent(point.cost_ratio)} of the plain model's MACs.",
        f"{percent(1 - point.agreement, 2)} of {evaluation.samples:,} answers differ from the plain model's"
        + (_between(point.agreement_interval) if point.agreement_interval else "")
        + ".",
    ]
    if point.accuracy is not None and evaluation.accuracy is not None:
        said.append(
            f"The accuracy is {percent(point.accuracy, 2)}, the plain model's {percent(evaluation.accuracy, 2)}."
        )
    if point.bound is not None:
        said.append(f"Certified: {point.bound.risk} of {proved(point.bound)}.")
    else:
        said.append("This point has no certificate.")
    said += _times(found)
    return " ".join(said)


def _between(interval: tuple[float, float]) -> str:
    return f" (95 % interval {100 * (1 - interval[1]):.2f} to {100 * (1 - interval[0]):.2f} %)"


def _times(found: Findings) -> list[str]:
    rows = [row for row in found.speed if row.point == found.chosen.name]
    if not rows:
        return []
    each = (f"{percent(row.ratio_to_uncut, 0)} at batch {row.batch} on {row.backend}" for row in rows)
    return [f"Measured time, of the uncut model's on the same back end: {', '.join(each)}."]


def proved(bound: Bound) -> str:
    """A certificate in words.

    >>> proved(Bound("disagreement", 0.015, 0.1, "exact binomial", 1000))
    'at most 1.5 % with probability 0.9 (exact binomial, 1,000 samples)'
    """
    return f"at most {100 * bound.epsilon:.3g} % {bound.holds} ({bound.method}, {bound.n:,} samples)"


def points(found: Findings, whole: bool = False) -> Rows:
    """The operating points; some of many, or the whole list."""
    evaluation = found.evaluation
    shown = evaluation.points if whole else few(evaluation.points, wanted=[found.chosen.name])
    labelled = evaluation.accuracy is not None
    head = ["point", "MACs, %", "leave early, %", "certified, ≤", "agreement, %", "95 % interval"]
    head += ["accuracy, %", "drop, points"] if labelled else []
    head += [*evaluation.measures, *(["ECE, %"] if evaluation.exits else [])]
    body = tuple(_point(point, labelled, tuple(evaluation.measures)) for point in shown)
    names = [point.name for point in shown]
    return Rows(tuple(head), body, names.index(found.chosen.name))


def _point(point: Evaluated, labelled: bool, measures: Sequence[str]) -> tuple[str, ...]:
    interval = point.agreement_interval
    known = [f"{100 * (point.accuracy or 0):.2f}", f"{point.accuracy_drop or 0:+.2f}"] if labelled else []
    return (
        point.name,
        f"{100 * point.cost_ratio:.1f}",
        f"{100 * (1 - point.exit_share[-1]):.1f}",
        "" if point.bound is None else f"{100 * point.bound.epsilon:.3g} %",
        f"{100 * point.agreement:.2f}",
        "" if interval is None else f"{100 * interval[0]:.2f} to {100 * interval[1]:.2f}",
        *known,
        *(f"{point.measures[name]:.4g}" for name in measures),
        *([] if point.ece is None else [f"{100 * point.ece:.1f}"]),
    )


def exits(found: Findings) -> Rows:
    """The exits: where they are, what they cost, and who leaves there at the chosen point."""
    upto, heads = found.macs
    kinds = [exit_.head for exit_ in found.bundle.manifest.exits]
    on, share = found.chosen.configuration.enabled, found.shown.exit_share
    body = [
        (
            name,
            kinds[index] if index < len(kinds) else "the model's own",
            percent(upto[index] / upto[-1]),
            macs(heads[index]) if index < len(kinds) else "",
            f"{found.chosen.configuration.threshold[index]:.4g}" if index < len(kinds) and on[index] else "",
            percent(share[index]) if index == len(kinds) or on[index] else "off",
        )
        for index, name in enumerate(found.exits)
    ]
    return Rows(("exit", "head", "MACs before it", "MACs of its head", "threshold", "leave there"), tuple(body))


def times(found: Findings) -> Rows:
    """Measured times."""
    head = ("back end", "batch", "point", "ms", "of uncut, %", "± 2 SE", "ideal, %", "of the best uncut, %")
    body = tuple(
        (
            row.backend,
            str(row.batch),
            row.point,
            f"{row.ms:.3g}",
            f"{100 * row.ratio_to_uncut:.1f}",
            "" if row.is_plain else f"{200 * row.noise:.1f}",
            "" if row.ideal_ratio == 1 else f"{100 * row.ideal_ratio:.1f}",
            f"{100 * row.ratio_to_best:.1f}",
        )
        for row in found.speed
        if not row.point.endswith(PLANNED)
    )
    return Rows(head, body)


def memory(found: Findings) -> Rows:
    """Measured memory."""
    uncut = {row.batch: row.allocated_bytes_per_sample for row in found.memory if row.point == UNCUT}
    body = []
    for row in found.memory:
        allocated, whole = row.allocated_bytes_per_sample, uncut.get(row.batch)
        body.append(
            (
                row.backend,
                str(row.batch),
                row.point,
                size(row.model_bytes),
                "" if row.head_bytes is None else size(row.head_bytes),
                "" if allocated is None else size(allocated),
                "" if allocated is None or not whole else percent(allocated / whole, 0),
                f"{row.peak_rss_bytes / 1e6:.0f} MB",
            )
        )
    head = ("back end", "batch", "point", "model", "heads", "allocated a sample", "of uncut", "peak RSS")
    return Rows(head, tuple(body))


def origins(found: Findings) -> Rows:
    """Where everything comes from."""
    manifest, told = found.bundle.manifest, found.bundle.manifest.provenance
    counts = ", ".join(f"{name} {count:,}" for name, count in manifest.split.counts.items())
    versions = ", ".join(f"{name} {told[name]}" for name in ("offramp", "python", "torch", "numpy") if name in told)
    recipe = told.get("recipe", {})
    rows = {
        "model": f"{manifest.model.spec or manifest.model.type} ({manifest.model.type}, {macs(manifest.model.macs)})",
        "fingerprint": manifest.model.fingerprint[:16],
        "task": manifest.model.task,
        "backbone": "a trained copy" if manifest.trained is not None else "the model itself, unchanged",
        "built from": f"{manifest.data.name}, {manifest.data.samples:,} samples: {counts}",
        "heads learn from": "labels" if recipe.get("labels") else "the model's own answers; no labels were read",
        "recipe": str(recipe.get("source", "")),
        "seed": str(told.get("seed", manifest.split.seed)),
        "guarantee": str(told.get("guarantee", "")),
        "built with": versions,
        "shown on": f"{found.source}: {found.evaluation.samples:,} samples ({found.evaluation.part})",
        "measured on": ", ".join(f"{key} {value}" for key, value in found.machine.items() if value is not None),
    }
    return Rows(("", ""), tuple((name, value) for name, value in rows.items() if value))
