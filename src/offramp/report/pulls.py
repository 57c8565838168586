"""Which exit pulls at which part of a backbone, as a figure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from offramp.arrays import Float
from offramp.report.style import figure

DARK = 0.6
"""Share of the colour scale from which on numbers are written in white."""


def gradients_figure(
    spans: Sequence[str], exits: Sequence[str], groups: Mapping[str, Sequence[Mapping[str, Any]]], path: Path
) -> None:
    """Draws dominance (above) and alignment (below) of the exits' gradients, a column for each regime.

    Numbers are means over seeds. A row is a part of the backbone, named after the first exit that depends on it; cells
    of exits that do not depend on it are empty.

    Args:
        spans: the parts, by depth.
        exits: by depth, the backbone last.
        groups: by regime the seeds, each with `dominance` and `alignment`.
        path: where; the suffix says the format.
    """
    kinds = (("dominance", "share of the gradients", "Blues", 0.0), ("alignment", "cosine with the mean", "PuOr", -1.0))
    with figure(path, 1.2 + (1.0 + 0.55 * len(exits)) * len(groups), 2.2 + 0.7 * len(spans)) as drawn:
        panels = drawn.subplots(2, len(groups), squeeze=False, sharex=True, sharey=True)
        for row, (kind, label, scale, low) in zip(panels, kinds, strict=True):
            for axes, (group, seeds) in zip(row, groups.items(), strict=True):
                values = np.array([one[kind] for one in seeds], np.float64).mean(axis=0)
                image = _matrix(axes, values, scale, low)
                if kind == "dominance":
                    axes.set_title(group, loc="left", fontsize=9)
            drawn.colorbar(image, ax=list(row), label=label, fraction=0.05)
            row[0].set_yticks(range(len(spans)), [f"to {span}" for span in spans], fontsize=8)
            row[0].set_ylabel("part of the backbone")
        for axes in panels[1]:
            axes.set_xticks(range(len(exits)), list(exits), rotation=90, fontsize=8)
            axes.set_xlabel("exit")


def _matrix(axes: Axes, values: Float[np.ndarray, "spans exits"], scale: str, low: float) -> AxesImage:
    known = np.ma.masked_where(~np.isfinite(values) | (values == 0.0), values)
    image = axes.imshow(known, cmap=scale, vmin=low, vmax=1.0, aspect="auto")
    axes.grid(visible=False)
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value) and value != 0.0:
            away = abs(2.0 * (value - low) / (1.0 - low) - 1.0) if low < 0.0 else value
            ink = "white" if away > DARK else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=ink)
    return image
