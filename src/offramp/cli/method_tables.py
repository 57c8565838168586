"""Tables of a comparison of methods: means over the seeds, ± the spread."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from rich.table import Table

from offramp.method_figures import ALPHA
from offramp.report.units import percent

Row = Mapping[str, Any]
DROPS, BUDGETS = ("0.5", "1", "2"), ("25", "50", "75", "100", "max")


def method_tables(rows: Sequence[Row]) -> list[Table]:
    """Costs at points of drop, accuracies at costs, and how far to believe the answers; the cheapest recipe first."""
    recipes = list(dict.fromkeys(row["recipe"] for row in rows))
    by = {name: [row for row in rows if row["recipe"] == name] for name in recipes}
    ordered = sorted(recipes, key=lambda name: mean_of(by[name], lambda row: row["cost_at_drop"]["1"]))
    accuracy = np.mean([row["accuracy"] for row in rows])
    seeds = len({row["seed"] for row in rows})
    over = f"mean of {seeds} seed{'s' * (seeds > 1)}, ± standard deviation"
    return [
        _costs(by, ordered, f"backbone accuracy {accuracy:.2f} %, {over}"),
        _accuracies(by, ordered, over),
        _beliefs(by, ordered, over),
    ]


def _costs(by: Mapping[str, Sequence[Row]], ordered: Sequence[str], title: str) -> Table:
    table = _table(
        f"cost in % of the backbone's MACs; {title}",
        "≤ x: chosen on other data to lose at most x points; drop, disagree: what that at 1 point turned out to do",
    )
    limits = [f"≤ {drop}" for drop in DROPS]
    for name in ("recipe", "labels", *limits, "drop", "disagree", "certified\n≤ 1 %", "oracle"):
        table.add_column(name, justify="left" if name in ("recipe", "labels") else "right")
    for name in ordered:
        rows = by[name]
        proved = [row["certified"]["cost"] if row["certified"] else 1.0 for row in rows]
        table.add_row(
            name,
            "yes" if rows[0]["labels"] else "no",
            *(said(rows, lambda row, drop=drop: 100 * row["cost_at_drop"][drop]) for drop in DROPS),  # type: ignore[misc]
            said(rows, lambda row: row["chosen"]["1"]["drop"], 2),
            said(rows, lambda row: row["chosen"]["1"]["disagreement"], 2),
            percent(float(np.mean(proved))),
            percent(mean_of(rows, lambda row: row["oracle_cost"])),
        )
    return table


def _accuracies(by: Mapping[str, Sequence[Row]], ordered: Sequence[str], title: str) -> Table:
    table = _table(f"accuracy in % at a cost of at most … % of the backbone's; {title}", "chosen on other data")
    for name in ("recipe", *(f"≤ {budget} %" if budget != "max" else "any" for budget in BUDGETS)):
        table.add_column(name, justify="left" if name == "recipe" else "right")
    for name in ordered:
        cells = []
        for budget in BUDGETS:
            some = [row for row in by[name] if budget in row["accuracy_at_cost"]]
            cells.append(said(some, lambda row, budget=budget: row["accuracy_at_cost"][budget]) if some else "-")  # type: ignore[misc]
        table.add_row(name, *cells)
    return table


def _beliefs(by: Mapping[str, Sequence[Row]], ordered: Sequence[str], title: str) -> Table:
    caption = f"sets: gated conformal at {100 * (1 - ALPHA):.0f} %; seconds: training and searching"
    table = _table(f"as run at one point of drop; {title}", caption)
    for name in ("recipe", "ECE, %", "set size", "coverage, %", "head\nparameters", "seconds"):
        table.add_column(name, justify="left" if name == "recipe" else "right")
    for name in ordered:
        rows = by[name]
        table.add_row(
            name,
            said(rows, lambda row: row["ece"]),
            said(rows, lambda row: row["conformal"]["size"], 2),
            said(rows, lambda row: 100 * row["conformal"]["coverage"]),
            f"{rows[0]['head_parameters']:,}",
            f"{mean_of(rows, lambda row: row['seconds']):.0f}",
        )
    return table


def _table(title: str, caption: str) -> Table:
    return Table(title=title, caption=caption, title_justify="left", caption_justify="left", box=None, pad_edge=False)


def mean_of(rows: Sequence[Row], value: Callable[[Row], float]) -> float:
    """The mean of a number over the rows."""
    return float(np.mean([value(row) for row in rows]))


def said(rows: Sequence[Row], value: Callable[[Row], float], digits: int = 1) -> str:
    """The mean of a number over the rows, ± its standard deviation where there are several."""
    return with_spread([value(row) for row in rows], digits)


def with_spread(values: Sequence[float], digits: int = 1) -> str:
    """Their mean, ± their standard deviation where there are several."""
    spread = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{spread}"
