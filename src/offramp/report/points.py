"""Where a model can be left, as a figure: cost along depth, and how large the feature is there."""

from collections.abc import Sequence
from math import prod
from pathlib import Path

from matplotlib.ticker import EngFormatter, NullFormatter

from offramp.report.style import BLUE, ORANGE, figure
from offramp.report.units import macs as in_words
from offramp.types import ExitPoint


def narrow(points: Sequence[ExitPoint]) -> bool:
    """Whether the feature sizes lie within one power of ten, so that the axis needs its smaller ticks named."""
    sizes = [prod(point.feature_shape) for point in points]
    return max(sizes) < 10 * min(sizes)


def points_figure(points: Sequence[ExitPoint], macs: float, title: str, path: Path) -> None:
    """Draws each exit point's share of the cost (bars) and its feature size (line)."""
    with figure(path, max(6.0, 0.28 * len(points) + 2), 4.2) as drawn:
        axes = drawn.add_subplot()
        position = range(len(points))
        axes.set_axisbelow(True)
        axes.bar(position, [100 * point.depth for point in points], color=BLUE)
        axes.set_xticks(position, [point.name for point in points], rotation=90, fontsize=7)
        axes.set_ylabel(f"cost before the point, % of {in_words(macs)}", color=BLUE)
        axes.set_ylim(0, 100)
        axes.set_title(f"{title}: {len(points)} exit points", loc="left")
        size = axes.twinx()
        size.grid(visible=False)
        size.plot(
            position,
            [prod(point.feature_shape) for point in points],
            "o-",
            color=ORANGE,
            markersize=3,
        )
        size.set_yscale("log")
        size.yaxis.set_major_formatter(EngFormatter(sep=""))
        size.yaxis.set_minor_formatter(EngFormatter(sep="") if narrow(points) else NullFormatter())
        size.set_ylabel("numbers in the feature", color=ORANGE)
