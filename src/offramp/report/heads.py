"""What a search for heads found, as a figure: savings of each point, and what they hang on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes

from offramp.report.style import BLUE, GREY, figure

Row = Mapping[str, Any]


def heads_figure(found: Sequence[Row], path: Path) -> None:
    """Draws what the best head of each point saves beside the recipe's own (left), and importances (right).

    An importance is the share of the variance of the saving, among the heads tried at a point, that a property of
    theirs explains (fANOVA; Hutter et al. 2014).

    Args:
        found: as the provenance of a bundle has it, by depth.
        path: where; the suffix says the format.
    """
    with figure(path, 12.0, max(3.0, 0.45 * len(found) + 1.2)) as drawn:
        left, right = drawn.subplots(1, 2, width_ratios=(1.3, 1.0))
        _savings(left, found)
        _importances(right, found)


def _savings(axes: Axes, found: Sequence[Row]) -> None:
    for kind, label, colour, shift in (("own", "the recipe's own", GREY, 0.2), ("best", "found", BLUE, -0.2)):
        saving = [100 * row[kind]["saving"] for row in found]
        axes.barh([at + shift for at in range(len(found))], saving, height=0.4, color=colour, label=label)
    most = max(100 * row["best"]["saving"] for row in found)
    for at, row in enumerate(found):
        axes.text(max(100 * row["best"]["saving"], 0) + 0.01 * most, at - 0.2, row["best"]["head"], va="center", size=7)
    axes.set_yticks(range(len(found)), [f"{row['point']} ({100 * row['depth']:.0f} %)" for row in found], fontsize=8)
    axes.set_xlim(right=1.6 * max(most, 1e-3))
    axes.set_xlabel("saving of this exit alone at its budget, % of the plain model's MACs")
    axes.legend(fontsize=8, loc="lower right")
    axes.invert_yaxis()


def _importances(axes: Axes, found: Sequence[Row]) -> None:
    properties = list(dict.fromkeys(name for row in found for name in row["importance"]))
    palette = colormaps["viridis"]
    below = [0.0] * len(found)
    for index, name in enumerate(properties):
        share = [100 * row["importance"].get(name, 0.0) for row in found]
        colour = palette(index / max(1, len(properties) - 1))
        axes.barh(range(len(found)), share, left=below, color=colour, label=name)
        below = [done + more for done, more in zip(below, share, strict=True)]
    axes.set_yticks(range(len(found)), [""] * len(found))
    axes.set_xlim(0, 100)
    axes.set_xlabel("importance for the saving, %")
    axes.grid(visible=False)
    if properties:
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.invert_yaxis()
