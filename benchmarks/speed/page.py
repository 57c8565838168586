"""The page of the docs that shows the grid."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from offramp.speed import OFF, PLANNED, UNCUT

Row = Mapping[str, Any]

TOLERATED = 0.02
"""Beyond the noise, what the planned runtime may take more than the uncut model."""

HEAD = """\
# {title}

Leaving early against the plain model on the same back end: ratios of medians, interleaved in one process, each round
begun by another contestant. `{command}` wrote this page and `docs/results/{name}.json`, which has every cell with its
noise, p50, p95, p99 and break-even share.

* **resnet50** and **vit_tiny** (timm, random weights): exits are *imposed*, {shares} % of the samples at depths of
  about {depths} % of the MACs and at the end. Heads ({head}), gate, decisions and compaction really run.
{real}
*ideal* is the share of MACs that is left, *achieved* the time saved as a share of the MACs saved, *nobody leaves* the
time when all exits are asked and none is taken, *planned* the time of the fastest plan by a measurement on other
batches (the uncut model is always one). Percentages are of the uncut model on the same back end, ± one standard error.
MACs are not time: where early layers take more time for a MAC than late ones, achieved falls short with no overhead.

{how}
Machine: {machine}.
"""

REAL = """\
* **ResNet-56** (CIFAR-10, real weights): real decisions of certified points on the report part, each back end with the
  points that `offramp tune` chose for it (batch sizes {mix} alike). In INT8 it is another bundle, with exits trained on
  the features in INT8 by the recipe `quick`, so its points are not those in floating point.
"""

HOW = {
    "cpu": """\
Not timed: cells that the config leaves out. With one thread all rows come from one run on a core of its own, with
lighter work on the other one; with two threads nothing else ran. A plan is decided by the first third of the rounds,
at large batches by two of them: where these differ the uncut model is kept, though leaving early would have paid.
Where nobody leaves and the time is below 100 %, OpenVINO compiles the stages better than the whole model (the ViT in
INT8), which flatters the exits: compare with bfloat16.
""",
    "cuda": """\
All inputs lie on the device, and nothing else ran. A plan is decided by the first third of the rounds: where these
differ the uncut model is kept, though leaving early would have paid. A device that is not full takes about as long for
the few who stay as for all: with 40 % gone a batch of four or sixteen goes on at the same speed, and the host has
waited for who stays. So what is launched stage by stage (eager) saves time for one sample and for batches that fill
the device, and costs some between; recorded stages (`cuda-graphs`) are cheap to start, and hardly ever lose.
""",
}


def page(result: Mapping[str, Any], config: Mapping[str, Any], path: Path) -> str:
    """Markdown from the result of the config at `path`."""
    rows: Sequence[Row] = result["rows"]
    device = config["device"]
    mix = ", ".join(str(size) for entry in config["real"].values() for size in entry["mix"])
    head = HEAD.format(
        title="Time, measured" + " on a GPU" * (device == "cuda"),
        command=f"python -m benchmarks.speed {path}",
        name=config["name"],
        shares="/".join(f"{100 * share:.0f}" for share in config["shares"]),
        depths=", ".join(f"{100 * depth:.0f}" for depth in config["depths"]),
        head=config["head"],
        real=REAL.format(mix=mix) if mix else "",
        how=HOW[device],
        machine=", ".join(f"{key} {value}" for key, value in result["machine"].items() if value and key != "threads"),
    )
    parts = [head, *_summary(rows)]
    for model in dict.fromkeys(row["model"] for row in rows):
        for threads in map(int, config["threads"]):
            here = [row for row in rows if row["model"] == model and row["threads"] == threads]
            if here:
                parts.append(f"## {model}, {threads} thread{'s' * (threads > 1)}\n")
                parts += _table(here)
        parts.append(f"![{model}](results/{config['name']}_{model}.png)\n")
    return "\n".join(parts)


def _summary(rows: Sequence[Row]) -> Iterator[str]:
    yield "## In short\n"
    planned = [row for row in rows if row["point"].endswith(PLANNED)]
    slower = [row for row in planned if row["ratio_to_uncut"] > 1 + TOLERATED + 2 * row["noise"]]
    worst = max(planned, key=lambda row: row["ratio_to_uncut"])
    yield (
        f"* Planned, {len(planned)} cells: {len(slower)} slower than uncut by more than {100 * TOLERATED:.0f} % beyond "
        f"two standard errors; the slowest is {_name(worst)} at {_percent(worst)}."
    )
    for key in dict.fromkeys(map(_kind, rows)):
        yield from _line([row for row in rows if _kind(row) == key])
    yield ""


def _kind(row: Row) -> tuple[str, ...]:
    return row["precision"], row["model"], row["backend"]


def _line(rows: Sequence[Row]) -> Iterator[str]:
    """What a model reaches on a back end, over batch sizes and threads."""
    off = [100 * (row["ratio_to_uncut"] - 1) for row in rows if row["point"] == OFF]
    reached = [row for row in rows if row["achieved"] is not None and not row["point"].endswith(PLANNED)]
    if not off or not reached:
        return
    achieved, ratio = [row["achieved"] for row in reached], [100 * row["ratio_to_uncut"] for row in reached]
    first = rows[0]
    yield (
        f"* {first['model']}, {first['backend']}, {first['precision']}: time {min(ratio):.0f}-{max(ratio):.0f} %, "
        f"achieved {min(achieved):.2f}-{max(achieved):.2f}, when nobody leaves {min(off):+.1f} to {max(off):+.1f} %."
    )


def _table(rows: Sequence[Row]) -> Iterator[str]:
    points = [p for p in dict.fromkeys(r["point"] for r in rows) if p not in (UNCUT, OFF) and not p.endswith(PLANNED)]
    columns = [f"{point} | ideal | achieved | planned" for point in points]
    yield f"| back end | precision | batch | uncut, ms | nobody leaves | {' | '.join(columns)} |"
    yield "|" + " --- |" * (5 + 4 * len(points))
    by = {(row["backend"], row["precision"], row["batch"], row["point"]): row for row in rows}
    for key in dict.fromkeys((r["backend"], r["precision"], r["batch"]) for r in rows):
        backend, precision, batch = key
        cells = [backend, precision, str(batch), f"{by[(*key, UNCUT)]['ms']:.3g}", _percent(by[(*key, OFF)])]
        for point in points:
            cells += _cells(by.get((*key, point)), by.get((*key, f"{point}, {PLANNED}")))
        yield f"| {' | '.join(cells)} |"
    yield ""


def _cells(row: Row | None, planned: Row | None) -> list[str]:
    """Of a point; a back end may have none of that name."""
    if row is None or planned is None:
        return [""] * 4
    achieved = "" if row["achieved"] is None else f"{row['achieved']:.2f}"
    return [_percent(row), f"{100 * row['ideal_ratio']:.1f}", achieved, _percent(planned)]


def _percent(row: Row) -> str:
    return f"{100 * row['ratio_to_uncut']:.1f} ± {100 * row['noise']:.1f}"


def _name(row: Row) -> str:
    return (
        f"{row['model']} on {row['backend']} ({row['precision']}) at batch {row['batch']} with {row['threads']} "
        f"thread{'s' * (row['threads'] > 1)}, {row['point']},"
    )
