"""The step of load as a page of the docs, and its figure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from offramp.report.style import BLUE, GREY, ORANGE, figure

HEAD = """# The controller under a step of load

Made by `python -m benchmarks.serving.step {config}`; the result, with machine and versions, is
[results/serving_step.json](results/serving_step.json). On {processor}, ONNX Runtime {onnxruntime}, one core for the
server and one for the load.

`offramp serve stages --hold p95={target:g} --floor {floor:g}` on ResNet-56 for CIFAR-10: the controller may use the
operating points that are certified for at most {floor_percent:.0f} % disagreement ({points}). Requests come at random
(Poisson) at {low} a second, then at {high}, then at {low} again; latency counts from when a request was due.

![Latency and operating point over time](results/serving_step.png)

| | seconds | p95, held | within {target_ms:.0f} ms | p95, `full` alone |
|---|---|---|---|---|
"""

READ = """
*within*: seconds in which the 95th percentile met the target. The first seconds after the step are those in which the
queue fills and the controller looks twice (once a second) before it moves, at once to the cheapest point where the
target is missed by more than twice; then what waits is worked off. Each step back waits for {patience} quiet seconds,
and twice as long where the last one failed. It ended at `{last}`, {ended} s after the load fell. The same load on the
whole model alone is beyond what one core can do, so its queue grows until it is full.

In the published run another server was soaked beside the load, on its core and at the lowest priority.
"""


def page(result: Mapping[str, Any], path: Path) -> str:
    """The page."""
    config = result["config"]
    held, full = result["held"], result["full"]
    head = HEAD.format(
        config=path,
        points=", ".join(f"`{name}`" for name in config["points"]),
        high=config["low"] * config["factor"],
        floor_percent=100 * config["floor"],
        target_ms=1e3 * config["target"],
        **{key: config[key] for key in ("target", "floor", "low")},
        **result["machine"],
    )
    parts = [head]
    spans = dict.fromkeys(config["seconds"], (0.0, 1000000000.0))
    first = config["seconds"]["before"]
    rows = [(phase, phase, *span) for phase, span in spans.items()]
    rows.insert(2, ("step, after its first 15 s", "step", first + 15.0, 1e9))
    for name, phase, start, end in rows:
        cells = [name, *_cells(held, phase, start, end, config["target"])]
        cells.append(_p95(full, phase, start, end))
        parts.append(f"| {' | '.join(cells)} |\n")
    after = [row for row in held if row["phase"] == "after"]
    last = after[-1]["point"]
    since = next(
        row["at"]
        for row in after
        if row["point"] == last and all(later["point"] == last for later in after if later["at"] >= row["at"])
    )
    ended = since - after[0]["at"]
    parts.append(READ.format(last=last, ended=f"{ended:.0f}", patience=10))
    return "".join(parts)


def _some(rows: list[dict[str, Any]], phase: str, start: float, end: float) -> list[dict[str, Any]]:
    return [row for row in rows if row["phase"] == phase and start <= row["at"] < end]


def _cells(rows: list[dict[str, Any]], phase: str, start: float, end: float, target: float) -> list[str]:
    some = _some(rows, phase, start, end)
    met = sum(row["p95"] <= target for row in some)
    return [str(len(some)), _p95(rows, phase, start, end), f"{met} of {len(some)}"]


def _p95(rows: list[dict[str, Any]], phase: str, start: float, end: float) -> str:
    return f"{1e3 * np.median([row['p95'] for row in _some(rows, phase, start, end)]):.0f} ms"


def figure_of(result: Mapping[str, Any], path: Path) -> None:
    """Latency above, the operating point below."""
    config, held, full = result["config"], result["held"], result["full"]
    names = config["points"]
    with figure(path, 8.5, 4.8) as drawn:
        upper, lower = drawn.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        for rows, name, colour in ((full, "`full` alone", ORANGE), (held, "held", BLUE)):
            upper.plot(
                [row["at"] for row in rows],
                [1e3 * row["p95"] for row in rows],
                color=colour,
                label=name.replace("`", ""),
            )
        upper.axhline(1e3 * config["target"], color=GREY, linestyle="--", linewidth=1.0, label="target")
        upper.set_yscale("log")
        upper.set_ylabel("p95 from when due, ms")
        upper.legend(fontsize=8)
        lower.step([row["at"] for row in held], [names.index(row["point"]) for row in held], where="post", color=BLUE)
        lower.set_yticks(range(len(names)), names, fontsize=8)
        lower.invert_yaxis()
        lower.set_ylabel("operating point")
        lower.set_xlabel("seconds")
        first = config["seconds"]["before"]
        for axes in (upper, lower):
            axes.axvspan(first, first + config["seconds"]["step"], color="#F2F2F2", zorder=-1)
        drawn.suptitle(
            f"{config['low']} requests a second, {config['low'] * config['factor']} in the grey span", x=0.01, ha="left"
        )
