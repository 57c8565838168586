"""The tables of docs/detection.md."""

from collections.abc import Iterator
from typing import Any

import numpy as np


def page(result: dict[str, Any]) -> Iterator[str]:
    """Lines of Markdown."""
    first = next(iter(result["tasks"].values()))[0]
    yield f"FastestDet, {first['macs'] / 1e6:.0f} MMACs; on COCO the detector itself: {_told(first['plain'])}"
    yield ""
    yield "| strategy | " + " | ".join(f"cost ≤ {float(cost):.0%}" for cost in result["config"]["costs"]) + " |"
    yield "|---" * (len(result["config"]["costs"]) + 1) + "|"
    for name, runs in result["tasks"].items():
        cells = [_cell([run["costs"][str(cost)] for run in runs]) for cost in result["config"]["costs"]]
        yield f"| {name}, {len(runs)} seed{'s' * (len(runs) > 1)} | " + " | ".join(cells) + " |"
    yield ""
    yield "| point | cost, own report part | agreement | certified | cost, COCO | agreement, COCO |"
    yield "|---|---|---|---|---|---|"
    for point in first["points"]:
        bounds = ", ".join(f"{risk} ≤ {100 * level:g} %" for risk, level in point["certified"].items())
        own, coco = point["report"], point["coco"]
        yield (
            f"| {point['name']} | {own['cost']:.1%} | {own['agreement']:.1%} | {bounds or '-'} | {coco['cost']:.1%} | "
            f"{coco['agreement']:.1%} |"
        )
    if result["time"]:
        yield ""
        yield "| back end | batch | point | ms | time |"
        yield "|---|---|---|---|---|"
        for row in result["time"]:
            yield f"| {row['backend']} | {row['batch']} | {row['point']} | {row['ms']:.3g} | {row['time']:.0%} |"


def _told(found: dict[str, float]) -> str:
    return f"accuracy {found['accuracy']:.1%}, F1 {found['f1']:.1%}, misses {found['misses']:.1%}"


def _cell(runs: list[dict[str, float]]) -> str:
    """Accuracy and F1 of alarms against the labels, mean over seeds."""
    known = [run for run in runs if run]
    if not known:
        return "-"
    accuracy, f1 = (np.mean([run[f"{name}_to_labels"] for run in known]) for name in ("accuracy", "f1"))
    return f"{accuracy:.1%}, F1 {f1:.1%}"
