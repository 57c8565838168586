"""The result of the faces benchmark as a page of the docs."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.faces.measure import LAYOUTS
from offramp.decide.ladder import MAIN_SHARE

HEAD = """# Faces: MobileFaceNet on ORL, exits trained without labels

Made by `python -m benchmarks.faces benchmarks/faces/config.json`; the result, with machine and versions, is
[results/faces.json](results/faces.json). The numbers are means over {seeds} splits, ± their standard deviation.

SelfXit's protocol (section 4.2), on a smaller set: MobileFaceNet ({macs:.0f} MMACs) with a linear **classifier** of
{subjects} subjects, trained on three pictures of each that are used for nothing else; the other seven, {pictures} in
all, are the unlabelled **stream**. A build divides it 50/15/20/15 **by picture**: copies (mirrored, moved, turned,
brighter or darker) are only ever in the part of their picture. The plain model names {accuracy:.1%} of the stream
rightly, and tells pairs of all pictures apart with an AUC of {auc:.3f} ({same} pairs of one subject, {different} of
two).

"""

TAIL = """
* Costs are mean MACs, the plain model = 100 %. *Copies* are {report_copies} of each picture of the report part, beside
  the pictures themselves: harder than what was certified, and no independent samples.
* SelfXit's own row (LFW, 127 identities, MobileFaceNet): accuracy 97.78 → 96.91, at 62 % of the FLOPs. The backbone
  here makes no error on the stream's pictures, so all that is lost is disagreement.
"""


ON, KEYS = ("pictures", "copies"), ("cost", "agreement", "accuracy")
"""What is evaluated on, and what is told."""


def page(result: dict[str, Any]) -> str:
    """Markdown: what is lost at which cost, what so few pictures can prove, and what happens to strangers."""
    config, plain, runs = result["config"], result["plain"], result["runs"]
    same, different = plain["pairs"]
    head = HEAD.format(
        seeds=len(config["seeds"]),
        macs=runs[0][0]["macs"] / 1e6,
        subjects=20,
        pictures=plain["pictures"],
        accuracy=plain["accuracy"],
        auc=plain["auc"],
        same=same,
        different=f"{different:,}",
    )
    parts = [
        _layouts(runs),
        _points(runs),
        _costs(runs, config),
        _times(runs, config),
        _provable(config),
        _strangers(result["open"]),
    ]
    return head + "\n".join(parts) + TAIL.format(**config)


def least_provable(samples: int, delta: float) -> float:
    """The smallest share of disagreement that samples without any can rule out, but with probability `delta`.

    >>> round(least_provable(28, 0.1), 3)
    0.079
    """
    return float(1 - delta ** (1 / samples))


def samples_for(epsilon: float, delta: float) -> int:
    """So many samples without any disagreement rule out this share of it, but with probability `delta`.

    >>> samples_for(0.01, 0.1)
    230
    """
    return math.ceil(math.log(delta) / math.log(1 - epsilon))


def _layouts(runs: list[list[dict[str, Any]]]) -> str:
    used = {over[0]["layout"] for over in runs}
    return "\n".join(f"* **{name}**: {meaning}." for name, meaning in LAYOUTS.items() if name in used) + "\n"


def _points(runs: list[list[dict[str, Any]]]) -> str:
    titles = ("copies", "recipe", "point", "certified, by split", *(f"{key} on {on}" for on in ON for key in KEYS))
    lines = [_row(titles), "|---" * len(titles) + "|"]
    for over in runs:
        for name in over[0]["named"]:
            found = [run["named"][name] for run in over]
            proved = ", ".join("none" if one["certified"] is None else f"{one['certified']:.0%}" for one in found)
            cells = [over[0]["layout"], over[0]["recipe"], name, proved]
            cells += [_spread([one[key][on] for one in found]) for on in ON for key in KEYS]
            lines.append(_row(cells))
    return "\n".join(lines) + "\n"


def _costs(runs: list[list[dict[str, Any]]], config: dict[str, Any]) -> str:
    """What the front costs at some losses, and how good the plain model is on the same faces."""
    drops = [str(drop) for drop in config["drops_in_points"]]
    titles = (
        "on",
        "copies",
        "recipe",
        *(f"cost at ≤ {drop} points lost" for drop in drops),
        "oracle",
        "plain accuracy",
    )
    lines = ["Read off the front of certified points:", "", _row(titles), "|---" * len(titles) + "|"]
    for on in ON:
        for over in runs:
            found = [run["on"][on] for run in over]
            cells = [on, over[0]["layout"], over[0]["recipe"]]
            cells += [_spread([one["cost_within_drop"][drop] for one in found]) for drop in drops]
            cells += [_spread([one[key] for one in found]) for key in ("oracle_cost", "backbone_accuracy")]
            lines.append(_row(cells))
    return "\n".join(lines) + "\n"


def _times(runs: list[list[dict[str, Any]]], config: dict[str, Any]) -> str:
    """A row for each build, back end and batch size; a column for each point."""
    points = list(runs[0][0]["named"])
    titles = ("copies", "recipe", "back end", "batch", "uncut", *points)
    lines = [
        "Time of the first split's points, % of the uncut model on the same back end, interleaved, one thread:",
        "",
    ]
    lines += [_row(titles), "|---" * len(titles) + "|"]
    for over in runs:
        run = over[0]
        for backend, batch in itertools.product(config["backends"], config["batch_sizes"]):
            rows = {row["point"]: row for row in run["time"] if (row["backend"], row["batch"]) == (backend, batch)}
            ratios = [rows[run["named"][point]["means"]] for point in points]
            told = [f"{100 * row['ratio_to_uncut']:.0f} ± {100 * row['noise']:.0f}" for row in ratios]
            lines.append(
                _row([run["layout"], run["recipe"], backend, str(batch), f"{rows['uncut']['ms']:.1f} ms", *told])
            )
    return "\n".join(lines) + "\n"


def _provable(config: dict[str, Any]) -> str:
    """What the certify part can prove at all, when no exit disagrees on it."""
    delta = config["delta"]
    lines = ["| pictures to certify | one point at one level | the level asked for, beside others |", "|---|---|---|"]
    for samples in (28, 56, 140, 230, 265):
        one, ladder = least_provable(samples, delta), least_provable(samples, MAIN_SHARE * delta)
        lines.append(f"| {samples} | {one:.1%} | {ladder:.1%} |")
    told = (
        f"So few pictures prove little. Even where no exit disagrees, at δ = {delta} they prove no less than this (the "
        f"level asked for has {MAIN_SHARE:.0%} of δ):"
    )
    alone, beside = samples_for(0.01, delta), samples_for(0.01, MAIN_SHARE * delta)
    need = (
        f"1 % takes {alone} pictures without any disagreement, {beside} beside other levels; so these builds "
        f"asked for {config['max_drop']:.0%}."
    )
    return "\n".join([told, "", *lines, "", need]) + "\n"


def _strangers(runs: list[dict[str, Any]]) -> str:
    lines = [
        "| point | strangers that leave early | AUC of all their pairs | of those who reach the end |",
        "|---|---|---|---|",
    ]
    for name in runs[0]["named"]:
        found = [run["named"][name] for run in runs]
        whole = f"{found[0]['whole']['auc']:.3f}"
        reached = [one["reached"]["auc"] for one in found if one["reached"]]
        cells = [name, _spread([one["left"] for one in found]), whole, f"{np.mean(reached):.3f}" if reached else "none"]
        lines.append(_row(cells))
    told = (
        f"**Strangers.** With a classifier of fifteen subjects, the {runs[0]['strangers']} pictures of the other five "
        "are strangers. Who leaves early is taken for somebody known, and has no embedding:"
    )
    return "\n".join([told, "", *lines]) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _spread(values: list[float]) -> str:
    return f"{100 * np.mean(values):.1f} % ± {100 * np.std(values, ddof=1):.1f}"
