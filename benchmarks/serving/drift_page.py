"""Drift as a page of the docs, and its figure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from offramp.report.style import BLUE, GREEN, GREY, ORANGE, figure

HEAD = """# When inputs change

Made by `python -m benchmarks.serving.drift {config}`; the result, with machine and versions, is
[results/serving_drift.json](results/serving_drift.json). ResNet-56 for CIFAR-10, a bundle made without labels.

## How soon it is noticed

`offramp serve` runs a share of the early answers to the end, and bets that more of them disagree than was certified
(`decide/drift.py`; level {alpha:g}: on a stream that keeps its promise there is an alarm, ever, with at most that
probability). Each row is {number} streams: {clean} clean samples and then {drifted} corrupted ones (Gaussian noise of a
standard deviation where white is 1, Gaussian blur in pixels), drawn from the {images} images of the report part, which
trained and chose nothing, with what the server answers to them; the first row of each block stays clean. *disagree*: of
these images, whether audited or not. *alarms before*: among the clean samples. *found*: streams with an alarm after the
change; *requests*: from the change to the alarm, median and most.

| point | certified | audited | corruption | disagree | alarms before | found | requests |
|---|---|---|---|---|---|---|---|
"""

READ = """
* **No clean stream raised an alarm**: {quiet} of {all_clean} streams of {length} samples.
* An alarm needs disagreement above what was certified: exits that notice that they are unsure let samples go on, so
  that mild corruptions cost more, not accuracy, and there is nothing to be alarmed about.
* The further above, the sooner: five times the certified level within thousands of requests, twice it within tens of
  thousands at 2 % audited. `--audit-share` buys speed: an audited sample costs what the whole model costs.

## Samples that go on for too long

Inputs can be made so that no exit takes them (a slow-down attack). What a sample costs is known without audits, so
that is watched, too (`serve/slowdown.py`): it is told when the mean cost has moved more than half of the way from what
it was to that of everything going to the end. The same streams; in the last row of each block only those come that no
exit takes.

| point | cost when chosen | stream | cost | told before | told | requests |
|---|---|---|---|---|---|---|
{slow}
With `--cap COST` no sample costs more than that while it lasts; whoever is made to leave by it is marked as `forced`.

## The whole story on a real server

`offramp serve versions --fallback --keep kept --audit-share {share:g} --point {point}`, {callers} callers, images that
neither trained the heads nor chose anything (from CIFAR-10's training part, so the backbone is surer of them than of
others), each sent once: {phases}. Certified: {promise:.0f} % disagreement.

![Disagreement and cost over requests](results/serving_drift.png)

| phase | requests | disagreement | cost |
|---|---|---|---|
"""

END = """
After the alarm the server answers by the whole model. `offramp refit --kept kept` taught the heads further on
{taught} kept inputs and certified them anew: {refit:.0f} s with the export by the clock, on a machine that was busy
with other work and left it waiting for most of that. `POST /v2/repository/models/resnet56/load` took {load:.1f} s, in
which the old version went on answering. `POST .../rollback` would go back.
"""


def page(result: Mapping[str, Any], path: Path) -> str:
    """The page."""
    config, rows = result["config"], result["streams"]
    wishes, live = config["streams"], result["live"]
    head = HEAD.format(config=path, alpha=0.01, images=750, **wishes)
    parts = [head]
    for row in rows:
        requests = row["requests"]
        told = f"{np.median(requests):.0f}, {max(requests)}" if requests else "-"
        cells = [f"`{row['point']}`", f"{100 * row['promise']:.0f} %", f"{100 * row['share']:.0f} %", row["corruption"]]
        cells += [
            f"{100 * row['disagreement']:.1f} %",
            str(row["false"]),
            f"{row['found']} of {wishes['number']}",
            told,
        ]
        parts.append(f"| {' | '.join(cells)} |\n")
    clean = [row for row in rows if row["corruption"] == "none"]
    quiet = sum(wishes["number"] - row["found"] - row["false"] for row in clean)
    phases = ", ".join(f"{number} {name}" for name, number in config["live"]["phases"].items())
    promise = next(row["promise"] for row in rows if row["point"] == config["live"]["point"])
    parts.append(
        READ.format(
            quiet=quiet,
            all_clean=wishes["number"] * len(clean),
            length=wishes["clean"] + wishes["drifted"],
            promise=100 * promise,
            slow=slow_table(result["slow"], wishes["number"]),
            phases=phases,
            **{key: config["live"][key] for key in ("share", "point", "callers")},
        )
    )
    parts += [f"| {' | '.join(cells)} |\n" for cells in summary(live["windows"], config["live"]["window"])]
    taught = int(config["live"]["share"] * config["live"]["phases"]["blurred"] * 0.95)
    parts.append(END.format(taught=taught, **live["seconds"]))
    return "".join(parts)


def slow_table(rows: list[dict[str, Any]], number: int) -> str:
    """The lines about cost."""
    lines = []
    for row in rows:
        requests = row["requests"]
        told = f"{np.median(requests):.0f}, {max(requests)}" if requests else "-"
        cells = [f"`{row['point']}`", f"{100 * row['expected']:.1f} %", row["corruption"]]
        cells += [f"{100 * row['cost']:.1f} %", str(row["false"]), f"{row['found']} of {number}", told]
        lines.append(f"| {' | '.join(cells)} |\n")
    return "".join(lines)


def summary(windows: list[dict[str, Any]], size: int) -> list[list[str]]:
    """Means of runs of windows with the same phase, version and point."""
    runs: list[list[dict[str, Any]]] = []
    for window in windows:
        key = (window["phase"], window["version"], window["point"])
        if runs and (runs[-1][0]["phase"], runs[-1][0]["version"], runs[-1][0]["point"]) == key:
            runs[-1].append(window)
        else:
            runs.append([window])
    return [
        [
            f"{run[0]['phase']}, version {run[0]['version']}, `{run[0]['point']}`",
            str(size * len(run)),
            f"{100 * np.mean([one['disagreement'] for one in run]):.2f} %",
            f"{100 * np.mean([one['cost'] for one in run]):.1f} %",
        ]
        for run in runs
    ]


def figure_of(result: Mapping[str, Any], path: Path) -> None:
    """Disagreement and cost over requests."""
    windows = result["live"]["windows"]
    at = [window["until"] for window in windows]
    promise = next(row["promise"] for row in result["streams"] if row["point"] == result["config"]["live"]["point"])
    with figure(path, 8.5, 4.6) as drawn:
        upper, lower = drawn.subplots(2, 1, sharex=True)
        upper.step(at, [100 * one["disagreement"] for one in windows], where="pre", color=ORANGE)
        upper.axhline(100 * promise, color=GREY, linestyle="--", linewidth=1.0)
        upper.text(at[0], 100 * promise, " certified", color=GREY, va="bottom", fontsize=8)
        upper.set_ylabel("disagreement, %")
        lower.step(at, [100 * one["cost"] for one in windows], where="pre", color=BLUE)
        lower.set_ylabel("cost, % of the model's MACs")
        lower.set_xlabel("requests")
        lower.set_ylim(0, 108)
        seen: set[str] = set()
        for window in windows:
            for key, colour in (("phase", GREY), ("point", GREEN), ("version", GREEN)):
                name = f"version {window[key]}" if key == "version" else str(window[key])
                if name not in seen:
                    seen.add(name)
                    for axes in (upper, lower):
                        axes.axvline(window["until"] - result["config"]["live"]["window"], color=colour, linewidth=0.8)
                    if key == "phase":
                        upper.text(window["until"], upper.get_ylim()[1], name, fontsize=8, va="top")
        drawn.suptitle("ResNet-56 on CIFAR-10: blurred inputs, alarm and fallback, refit", x=0.01, ha="left")
