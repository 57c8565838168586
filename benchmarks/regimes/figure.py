"""The figure of the benchmark."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from offramp.report.style import BLUE, GREEN, GREY, ORANGE, figure

COLOURS = (BLUE, ORANGE, GREEN, GREY)
GRID = np.linspace(0.1, 1.0, 91)
"""Costs at which curves are averaged over seeds."""


def draw(result: Mapping[str, Any], path: Path) -> None:
    """Accuracy against cost, one panel per size of the training part: mean and range over seeds."""
    config, runs = result["config"], result["runs"]
    with figure(path, 9.0, 4.0) as drawn:
        panels = drawn.subplots(1, len(config["sizes"]), squeeze=False)[0]
        for axes, size in zip(panels, config["sizes"], strict=True):
            for row, colour in zip(config["rows"], COLOURS, strict=False):
                here = [_at_grid(run) for run in runs if run["row"] == row and run["size"] == size]
                curves = np.array(here)
                axes.plot(100 * GRID, 100 * curves.mean(axis=0), color=colour, label=row)
                low, high = 100 * curves.min(axis=0), 100 * curves.max(axis=0)
                axes.fill_between(100 * GRID, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.set_title(f"{size:,} images to learn from", loc="left", fontsize=10)
            axes.set_xlabel("mean MACs, % of the plain backbone")
        panels[0].set_ylabel("accuracy on test images, %")
        panels[-1].legend(fontsize=8)


def _at_grid(run: Mapping[str, Any]) -> np.ndarray:
    """Accuracy at each cost of the grid, between the thresholds of one run; nothing where no threshold is so cheap."""
    cost, accuracy = np.array(run["curve"]).T
    found: np.ndarray = np.interp(GRID, cost, accuracy, left=np.nan)
    return found
