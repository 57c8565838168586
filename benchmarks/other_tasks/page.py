"""The result as tables of the docs.

python -m benchmarks.other_tasks.page docs/results/other_tasks.json
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Runs = Sequence[dict[str, Any]]

SHOWN = {
    "attributes": ("micro_f1", "macro_f1", "exact_to_model"),
    "mass": ("mae", "r2", "mae_to_model"),
    "angle": ("mae", "r2", "mae_to_model"),
}
"""Figures of each case beside cost and loss."""


def tables(result: dict[str, Any]) -> str:
    """One table for each case, a row for each certified level: means over the seeds."""
    return "\n".join(_table(case, runs, result["config"]) for case, runs in result["cases"].items())


def _table(case: str, runs: Runs, config: dict[str, Any]) -> str:
    shown, sizes = (
        SHOWN[config["cases"][case]["model"]],
        [size for size in map(str, config["batch_sizes"]) if "times" in runs[0]],
    )
    head = ["certified", "cost", *(f"time at {size}" for size in sizes), "loss", "worst loss", *shown]
    lines = [f"**{case}** ({runs[0]['task']}), seeds {', '.join(str(run['seed']) for run in runs)}\n"]
    lines += [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    plain = [f"{_mean(runs, 'measures', name):.3f}" for name in shown]
    lines.append(f"| plain model | 100 % | {'100 % | ' * len(sizes)}0 | 0 | {' | '.join(plain)} |")
    for level in map(str, config["levels"]):
        lines.append(f"| {' | '.join(_row(runs, level, sizes, shown))} |")
    return "\n".join(lines) + "\n"


def _row(runs: Runs, level: str, sizes: Sequence[str], shown: Sequence[str]) -> list[str]:
    losses = [run["levels"][level]["loss"] for run in runs]
    return [
        f"≤ {100 * float(level):g} %",
        f"{100 * _mean(runs, 'levels', level, 'cost'):.1f} %",
        *(f"{100 * _mean(runs, 'times', size, level, 0):.0f} %" for size in sizes),
        f"{100 * sum(losses) / len(losses):.2f} %",
        f"{100 * max(losses):.2f} %",
        *(f"{_mean(runs, 'levels', level, 'measures', name):.3f}" for name in shown),
    ]


def _mean(runs: Runs, *keys: str | int) -> float:
    """Of what is found in each run by these keys, one after the other."""
    return sum(_found(run, keys) for run in runs) / len(runs)


def _found(run: Any, keys: Sequence[str | int]) -> float:
    for key in keys:
        run = run[key]
    return float(run)


if __name__ == "__main__":
    print(tables(json.loads(Path(sys.argv[1]).read_text())))
