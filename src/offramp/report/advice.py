"""Alternatives beside each other, as a figure: quality over what it costs, in MACs and in time."""

from itertools import cycle
from pathlib import Path

from matplotlib.axes import Axes

from offramp.advise.advice import Advice
from offramp.advise.contender import EXITS, PLAIN
from offramp.report.style import BLUE, GREY, SERIES, figure

MARKS = ("s", "^", "D", "v", "P", "X")
"""One for each alternative besides the exits, so that colour alone says nothing."""


def advice_figure(found: Advice, path: Path) -> None:
    """Draws MACs to the left, and to the right a panel for each batch size at which time was measured.

    Lines are families, read off on the same samples; marks are the ways that were told of.
    """
    sizes = sorted({size for row in found.rows for size in row.taken})
    with figure(path, 4.6 + 3.6 * len(sizes), 4.2) as drawn:
        panels = drawn.subplots(1, 1 + len(sizes), sharey=True, squeeze=False)[0]
        _macs(panels[0], found)
        for axes, size in zip(panels[1:], sizes, strict=True):
            _marks(axes, found, {id(row): row.taken[size].ratio for row in found.rows if size in row.taken})
            axes.set_xlabel(f"time at batch {size}, % of the plain model's")
        panels[0].set_ylabel(f"{found.quality}, %")
        panels[0].set_title(f"{found.samples} samples of {found.part}", loc="left", fontsize=9)
        panels[-1].legend(fontsize=7, loc="lower right")


def _looks(found: Advice) -> dict[str, tuple[str, str]]:
    """Colour and mark of each alternative."""
    others = [family.name for family in found.families if family.kind not in (PLAIN, EXITS)]
    looks = dict(zip(others, zip(cycle(SERIES[1:]), cycle(MARKS), strict=False), strict=False))
    for family in found.families:
        if family.kind in (PLAIN, EXITS):
            looks[family.name] = (GREY, "*") if family.kind == PLAIN else (BLUE, "o")
    return looks


def _macs(axes: Axes, found: Advice) -> None:
    looks = _looks(found)
    for family in found.families:
        if len(family.curve) > 1:
            points = sorted((cost, quality) for quality, cost in family.curve)
            xs, ys = [100 * cost for cost, _ in points], [100 * quality for _, quality in points]
            axes.plot(xs, ys, "-", color=looks[family.name][0], linewidth=1)
    _marks(axes, found, {id(row): row.figures.cost for row in found.rows})
    axes.set_xlabel("mean MACs, % of the plain model's")
    best = max(row.figures.quality for row in found.rows)
    least = min(row.figures.quality for row in found.rows)
    axes.set_ylim(100 * least - 1.0, 100 * best + 0.5)


def _marks(axes: Axes, found: Advice, cost: dict[int, float]) -> None:
    looks, named = _looks(found), set[str]()
    for row in found.rows:
        if id(row) not in cost:
            continue
        colour, mark = looks[row.name]
        label = None if row.name in named else row.name
        named.add(row.name)
        axes.plot(100 * cost[id(row)], 100 * row.figures.quality, mark, color=colour, markersize=6, label=label)
    plain = next(row for row in found.rows if row.kind == PLAIN)
    axes.axhline(100 * plain.figures.quality, color=GREY, linewidth=0.8, linestyle=":")
