"""A comparison of methods as a figure: accuracy over cost, and the cost at one point of drop."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes

from offramp.arrays import Float
from offramp.report.style import GREY, SERIES, figure

Row = Mapping[str, Any]

SHOWN = 6.0
"""Points of accuracy below the backbone's that are shown."""

POINTS = 400
"""Costs at which fronts are compared."""


def fronts(
    found: Sequence[Sequence[Sequence[float]]],
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, "fronts points"]]:
    """Several fronts of (cost, accuracy) at the same costs, in between interpolated.

    Returns:
        Costs, from the least to the most that all fronts have, and the accuracy of each front there. Where they have no
        cost in common, that is their highest least cost alone, to which cheaper fronts are drawn out.
    """
    ordered = [np.array(sorted(map(tuple, front))) for front in found]
    first = max(front[0, 0] for front in ordered)
    last = max(first, min(front[-1, 0] for front in ordered))
    cost = np.linspace(first, last, POINTS)
    return cost, np.stack([np.interp(cost, front[:, 0], front[:, 1]) for front in ordered])


def methods_figure(rows: Sequence[Row], path: Path) -> None:
    """Draws each recipe's front on the report part, and its cost at one point of drop with a dot for each seed.

    A front holds what is best on the choose part, shown on the report part: the mean over the seeds at equal cost, with
    a band of one standard deviation. It begins and ends where all seeds have a point. Recipes that read labels are
    dashed, and have open dots.

    Args:
        rows: as `offramp bench methods` writes them.
        path: where; the suffix says the format.
    """
    names = sorted({row["recipe"] for row in rows}, key=lambda name: _cost(rows, name))
    palette = [*SERIES, *colormaps["tab20b"].colors]  # type: ignore[attr-defined]
    colour = {name: palette[index % len(palette)] for index, name in enumerate(names)}
    with figure(path, 12.0, max(4.5, 0.28 * len(names) + 1.5)) as drawn:
        left, right = drawn.subplots(1, 2, width_ratios=(1.4, 1.0))
        for name in names:
            _front(left, [row for row in rows if row["recipe"] == name], colour[name])
        accuracy = float(np.mean([row["accuracy"] for row in rows]))
        left.axhline(accuracy, color=GREY, linestyle=":", label="backbone")
        left.set_ylim(accuracy - SHOWN, accuracy + 1)
        left.set_xlim(_least(rows, accuracy - SHOWN), 102)
        left.set_xlabel("mean MACs, % of the backbone's")
        left.set_ylabel("accuracy, %")
        drawn.legend(*left.get_legend_handles_labels(), fontsize=8, ncols=6, loc="outside lower center")
        _costs(right, rows, names, colour)


def _front(axes: Axes, rows: Sequence[Row], colour: Any) -> None:
    cost, accuracy = fronts([row["front"] for row in rows])
    mean = accuracy.mean(axis=0)
    if len(rows) > 1:
        spread = accuracy.std(axis=0, ddof=1)
        axes.fill_between(100 * cost, mean - spread, mean + spread, color=colour, alpha=0.15, linewidth=0)
    style = "--" if rows[0]["labels"] else "-"
    axes.plot(100 * cost, mean, style, color=colour, linewidth=1.5, label=rows[0]["recipe"])


def _costs(axes: Axes, rows: Sequence[Row], names: Sequence[str], colour: Mapping[str, Any]) -> None:
    for at, name in enumerate(names):
        here = [row for row in rows if row["recipe"] == name]
        cost = [100 * row["cost_at_drop"]["1"] for row in here]
        face = "none" if here[0]["labels"] else colour[name]
        axes.scatter(cost, [at] * len(cost), facecolors=[face], edgecolors=[colour[name]], s=28)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_xlabel("cost chosen for ≤ 1 point, % of the backbone's")
    axes.invert_yaxis()


def _least(rows: Sequence[Row], accuracy: float) -> float:
    """Where a front comes into sight, %, and a little before."""
    seen = (100 * cost for row in rows for cost, reached in row["front"] if reached >= accuracy)
    return max(0.0, min(seen, default=0.0) - 5.0)


def _cost(rows: Sequence[Row], name: str) -> float:
    return float(np.mean([row["cost_at_drop"]["1"] for row in rows if row["recipe"] == name]))
