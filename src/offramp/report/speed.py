"""A grid of measured times as a figure: for each back end, time as a share of the uncut model's over the batch size."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from offramp.report.style import BLUE, GREEN, GREY, ORANGE, figure
from offramp.speed import OFF, PLANNED, UNCUT, SpeedRow

COLOURS = (BLUE, GREEN, ORANGE, "#8E5EA2", "#7F6A55")


def speed_figure(rows: Sequence[SpeedRow], title: str, path: Path) -> None:
    """Draws a grid: solid what was measured, dotted what the saved MACs would make it, dashed nobody leaving.

    A cross is what was planned. Bars show two standard errors. Back ends of which only the plain model was timed are
    left out.
    """
    backends = [
        name
        for name in dict.fromkeys(r.backend for r in rows)
        if any(r.backend == name and not r.is_plain for r in rows)
    ]
    with figure(path, 1.2 + 3.2 * max(len(backends), 1), 3.8) as drawn:
        panels = drawn.subplots(1, max(len(backends), 1), sharey=True, squeeze=False)[0]
        for axes, backend in zip(panels, backends, strict=False):
            _panel(axes, [row for row in rows if row.backend == backend])
            axes.set_title(backend, loc="left")
        panels[0].set_ylabel("time, % of the uncut model's")
        if backends:
            panels[0].legend(fontsize=7)
        drawn.suptitle(title, x=0.01, ha="left")


def _panel(axes: Axes, rows: Sequence[SpeedRow]) -> None:
    axes.axhline(100, color=GREY, linewidth=0.8)
    sizes = sorted({row.batch for row in rows})
    points = [p for p in dict.fromkeys(r.point for r in rows) if p not in (UNCUT, OFF) and not p.endswith(PLANNED)]
    off = sorted((row for row in rows if row.point == OFF), key=lambda row: row.batch)
    axes.plot([r.batch for r in off], [100 * r.ratio_to_uncut for r in off], "--", color=GREY, label="nobody leaves")
    for point, colour in zip(points, cycle(COLOURS), strict=False):
        here = sorted((row for row in rows if row.point == point), key=lambda row: row.batch)
        batches = [row.batch for row in here]
        measured, noise = [100 * row.ratio_to_uncut for row in here], [200 * row.noise for row in here]
        axes.errorbar(batches, measured, noise, fmt="o-", markersize=3, color=colour, label=point)
        axes.plot(batches, [100 * row.ideal_ratio for row in here], ":", color=colour)
        planned = sorted((row for row in rows if row.point == f"{point}, {PLANNED}"), key=lambda row: row.batch)
        axes.plot(
            [row.batch for row in planned],
            [100 * row.ratio_to_uncut for row in planned],
            "x",
            color=colour,
            label=f"{point}, planned",
        )
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(bottom=0)
    axes.set_xlabel("batch size")
