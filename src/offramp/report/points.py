"""Where a model can be left, as a figure: what has been spent along its depth, and what is known there."""

from collections.abc import Sequence
from math import prod
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, NullFormatter

from offramp.proposal import Survey
from offramp.report.style import BLUE, GREEN, GREY, ORANGE, figure
from offramp.report.units import macs as in_words
from offramp.types import ExitPoint

PALE = "#9CC9E5"
"""Bars of points that are not proposed."""


def narrow(points: Sequence[ExitPoint]) -> bool:
    """Whether the feature sizes lie within one power of ten, so that the axis needs its smaller ticks named."""
    sizes = [prod(point.feature_shape) for point in points]
    return max(sizes) < 10 * min(sizes)


def points_figure(found: Survey, macs: float, title: str, path: Path) -> None:
    """Draws a survey: above, MACs and measured time before each point, the proposed ones dark and numbered by rank;
    below, feature sizes and, where a probe was fitted, how much of the backbone's answer it knows.
    """
    with figure(path, max(6.0, 0.28 * len(found.points) + 2), 5.6) as drawn:
        spent, known = drawn.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        _spent(spent, found)
        _known(known, found)
        names = [point.name for point in found.points]
        known.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
        spent.set_title(f"{title}: {len(names)} exit points, {in_words(macs)}", loc="left")


def _spent(axes: Axes, found: Survey) -> None:
    rank = {index: place for place, (index, _) in enumerate(found.ranked, start=1)}
    depth = [100 * point.depth for point in found.points]
    bars = axes.bar(range(len(depth)), depth, color=[BLUE if i in rank else PALE for i in range(len(depth))])
    axes.plot(range(len(depth)), 100 * found.time, ".", color=GREY, label="time, measured")
    for index, place in rank.items():
        high = max(depth[index], 100 * found.time[index])
        axes.annotate(
            str(place), (index, high), (0, 3), textcoords="offset points", ha="center", color=BLUE, weight="bold"
        )
    shown = dict.fromkeys(i in rank for i in range(len(depth)))
    names = {True: "MACs, proposed", False: "MACs"}
    handles = [bars[next(i for i in range(len(depth)) if (i in rank) is kind)] for kind in shown]
    dots, _ = axes.get_legend_handles_labels()
    axes.legend([*handles, *dots], [*(names[kind] for kind in shown), "time, measured"], loc="upper left")
    axes.set_ylabel("spent before the point, %")
    axes.set_ylim(0, 105)


def _known(axes: Axes, found: Survey) -> None:
    position = range(len(found.points))
    axes.plot(position, [prod(point.feature_shape) for point in found.points], "o-", color=ORANGE, markersize=3)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.yaxis.set_minor_formatter(EngFormatter(sep="") if narrow(found.points) else NullFormatter())
    axes.set_ylabel("numbers in the feature", color=ORANGE)
    if found.agreement is None:
        return
    probe = axes.twinx()
    probe.grid(visible=False)
    probe.plot(position, 100 * found.agreement, "s-", color=GREEN, markersize=3)
    probe.set_ylim(0, 105)
    probe.set_ylabel("a probe agrees, %", color=GREEN)
