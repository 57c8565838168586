"""Tables for people; they fit into 80 columns."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table

from offramp.bundle import Bundle
from offramp.cli.plain import plain_table as _table
from offramp.covering import PredictionSets
from offramp.decide.estimate import estimated_cost
from offramp.deployed import UNCUT
from offramp.evaluation import Evaluation
from offramp.memory import MemoryRow
from offramp.report.units import percent, size
from offramp.speed import PLANNED, SpeedRow
from offramp.types import Bound
from offramp.uncertainty.conformal import CALIBRATIONS, ENOUGH, Coverage


def front_table(bundle: Bundle) -> Table:
    """The operating points of a bundle with what the report part says of them, and their certificates."""
    samples, risk = bundle.manifest.split.counts["report"], bundle.manifest.risk
    timed = [profile for profile in bundle.costs if profile.unit == "s"]
    further = dict.fromkeys(bound.risk for point in bundle.points for bound in point.also)
    table = _table(
        f"operating points on the {samples} samples of the report part",
        [
            "point",
            "cost",
            *(f"est. time\nat {profile.batch_size}" for profile in timed),
            "leaves\nearly",
            risk,
            certified([point.bound for point in bundle.points]),
            *(f"certified\n{name}" for name in further),
        ],
        together([point.bound for point in bundle.points])
        + "".join(f"; {alias} means {name}" for alias, name in bundle.manifest.aliases.items())
        + trained_from(bundle),
    )
    for point, report in zip(bundle.points, bundle.report, strict=True):
        table.add_row(
            point.name,
            percent(report.cost),
            *(percent(estimated_cost(report, profile)) for profile in timed),
            percent(1 - report.exit_share[-1]),
            percent(report.loss, 2),
            limit(point.bound),
            *(limit(next((one for one in point.also if one.risk == name), None)) for name in further),
        )
    return table


def trained_from(bundle: Bundle) -> str:
    """What the model did that a trained backbone was made from; nothing where the backbone is that model."""
    trained, risk = bundle.manifest.trained, bundle.manifest.risk
    if trained is None:
        return ""
    own = f", whose {risk} here is {percent(trained.plain, 2)}" if risk == "error" else ""
    return f"\nfull is a copy of your model, trained ({trained.regime}); certificates are against your model{own}"


def speed_table(rows: Sequence[SpeedRow]) -> Table:
    """The grid of a bundle, a row for each back end, batch size and operating point."""
    best = {
        batch: min((row for row in rows if row.is_plain and row.batch == batch), key=lambda row: row.ms)
        for batch in dict.fromkeys(row.batch for row in rows)
    }
    planned = {(row.backend, row.batch, row.point): row for row in rows if row.point.endswith(PLANNED)}
    threads = f"{rows[0].threads} thread{'s' * (rows[0].threads > 1)}"
    table = _table(
        f"time per batch, {threads}; shares in % of the uncut model on the same back end",
        ["back end", "batch", "point", "ms", "time", "plan", "ideal", "achieved", "even"],
        "\n".join(
            f"at batch {batch} the plain model is fastest on {row.backend} ({row.precision}): {row.ms:.3g} ms"
            for batch, row in best.items()
        ),
    )
    for row in rows:
        if row.point.endswith(PLANNED):
            continue
        plan = planned.get((row.backend, row.batch, f"{row.point}, {PLANNED}"))
        table.add_row(
            row.backend,
            str(row.batch),
            row.point,
            f"{row.ms:.3g}",
            f"{100 * row.ratio_to_uncut:.1f}±{100 * row.noise:.1f}",
            "" if plan is None else f"{100 * plan.ratio_to_uncut:.1f}",
            "" if row.ideal_ratio == 1 else f"{100 * row.ideal_ratio:.1f}",
            "" if row.achieved is None else f"{100 * row.achieved:.0f}",
            "" if row.break_even is None else f"{100 * row.break_even:.0f}",
        )
    return table


def memory_table(rows: Sequence[MemoryRow]) -> Table:
    """The memory of a bundle, a row for each back end, batch size and operating point."""
    blind = list(dict.fromkeys(row.backend for row in rows if row.allocated_bytes_per_sample is None))
    table = _table(
        "memory",
        ["back end", "batch", "point", "model", "heads", "allocated\nper sample", "of\nuncut", "peak RSS, MB"],
        "RSS of a fresh process: peak after imports / after loading / after all batches"
        + (f"\nallocated: not shown by {' and '.join(blind)}, where heads are in the model's files" if blind else ""),
    )
    uncut = {(row.backend, row.batch): row.allocated_bytes_per_sample for row in rows if row.point == UNCUT}
    for row in rows:
        allocated, whole = row.allocated_bytes_per_sample, uncut.get((row.backend, row.batch))
        resident = (row.imported_rss_bytes, row.loaded_rss_bytes, row.peak_rss_bytes)
        table.add_row(
            row.backend,
            str(row.batch),
            row.point,
            size(row.model_bytes),
            "-" if row.head_bytes is None else size(row.head_bytes),
            "-" if allocated is None else size(allocated),
            "-" if allocated is None or not whole else percent(allocated / whole, 0),
            " / ".join(f"{count / 1e6:.0f}" for count in resident),
        )
    return table


def evaluation_table(evaluation: Evaluation) -> Table:
    """An evaluation, a row for each operating point."""
    labelled = evaluation.accuracy is not None
    accuracy = "" if evaluation.accuracy is None else f", backbone accuracy {percent(evaluation.accuracy, 2)}"
    part = "" if evaluation.part == "all" else f" of the {evaluation.part} part"
    sizes = list(evaluation.points[0].time_ratio) if evaluation.points else []
    risk = certified([point.bound for point in evaluation.points]).split()[1:]
    table = _table(
        f"{evaluation.samples} samples{part}{accuracy}, oracle cost {percent(evaluation.oracle_cost)}",
        [
            "point",
            "cost",
            *(f"time at\n{size}" for size in sizes),
            "agreement",
            *(["accuracy", "drop"] if labelled else []),
            *(name.replace("_", "\n") for name in evaluation.measures),
            *(["ECE\n%"] if evaluation.exits else []),
            "certified",
        ],
        (
            f"cost: MACs, time: measured at {_words('batch', sizes)}; in % of the plain model's"
            if sizes
            else "cost: MACs in % of the plain model's"
        )
        + (f"\nECE: against {AGAINST[evaluation.against]}" if evaluation.exits else "")
        + (f"\nplain model: {_figures(evaluation.measures)}" if evaluation.measures else "")
        + (f"; certified: {' '.join(risk)}" if risk else ""),
    )
    for point in evaluation.points:
        known = [] if point.accuracy is None else [percent(point.accuracy, 2), f"{point.accuracy_drop or 0:+.2f}"]
        times = (percent(point.time_ratio[size]) for size in sizes)
        table.add_row(
            point.name,
            percent(point.cost_ratio),
            *times,
            percent(point.agreement, 2),
            *known,
            *(f"{point.measures[name]:.4g}" for name in evaluation.measures),
            *([] if point.ece is None else [f"{100 * point.ece:.1f}"]),
            limit(point.bound),
        )
    return table


def _figures(measures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in measures.items())


def sets_table(sets: PredictionSets, against: str) -> Table:
    """Coverage and mean size of prediction sets, a row for each operating point, two columns for each calibration."""
    table = _table(
        f"prediction sets to hold {AGAINST[against]} in {percent(1 - sets.alpha)} of cases:\n"
        f"calibrated on {sets.calibrated} samples ({sets.calibrated_on}), tested on {sets.tested} ({sets.tested_on})",
        ["point", *(heading for kind in CALIBRATIONS for heading in (f"{kind}\ncoverage", "\nsize"))],
        "general: one quantile; all, strict: one per exit, of all samples or of those\n"
        f"leaving there; gated: strict where more than {ENOUGH} leave, else all",
    )
    for name, by_kind in sets.points.items():
        cells = (cell for kind in CALIBRATIONS for cell in _covered(by_kind[kind]))
        table.add_row(name, *cells)
    return table


def _covered(found: Coverage) -> tuple[str, str]:
    return percent(found.coverage), f"{found.size:.2f}"


AGAINST = {"labels": "the label", "backbone": "the plain model's class"}


def limit(bound: Bound | None) -> str:
    """The upper limit that a bound proves.

    >>> limit(Bound("disagreement", 0.015, 0.1, "exact binomial", 1000))
    '≤ 1.5 %'
    """
    return "-" if bound is None else f"≤ {100 * bound.epsilon:.3g} %"


def certified(bounds: Iterable[Bound | None]) -> str:
    """The head of the column that shows bounds: the risk, and that they are on average, where they are.

    >>> certified([None, Bound("gap", 0.015, None, "conformal", 1000)]).split()
    ['certified', 'gap', 'on', 'average']
    """
    known = [bound for bound in bounds if bound is not None]
    lines = ["certified", "/".join(dict.fromkeys(bound.risk for bound in known))]
    return "\n".join([*lines, "on average"] if any(bound.delta is None for bound in known) else lines)


def together(bounds: Iterable[Bound | None]) -> str:
    """In which sense the bounds of a bundle hold, in words."""
    deltas = {bound.delta for bound in bounds if bound is not None}
    if None in deltas:
        return "certificates hold on average over draws of the certify part; on a given one they may fail"
    return f"all certificates hold together with probability {1 - max(filter(None, deltas), default=0.0):g}"


def _words(noun: str, sizes: Sequence[str]) -> str:
    return f"{noun} {' and '.join(sizes)}"


def heads_table(found: Sequence[Mapping[str, Any]]) -> Table:
    """What a search for heads found, as a bundle's provenance has it: the best head of each point."""
    table = _table(
        "the best head of each point, judged on a part of the training samples",
        ["point", "depth", "head", "saves", "own head\nsaves", "leave", "trials"],
        "saves: MACs, of the plain model's, with this exit alone at its budget; leave: samples that do",
    )
    table.columns[2].no_wrap, table.columns[2].overflow, table.columns[2].justify = False, "fold", "left"
    for row in found:
        table.add_row(
            row["point"],
            percent(row["depth"], 0),
            row["best"]["head"] if row["kept"] else "none",
            percent(row["best"]["saving"]),
            percent(row["own"]["saving"]),
            percent(row["best"]["leaving"], 0),
            str(row["trials"]),
        )
    return table
