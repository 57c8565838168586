"""The loss around networks and between them, as figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from offramp.arrays import Float
from offramp.report.profiles import colour
from offramp.report.style import SERIES, banded, figure

LEVELS = 14
"""Contours of a landscape."""

KINDS = {"last": "the backbone's own output", "mean": "mean of all exits"}
"""Whose loss is drawn."""


def landscape_figure(at: Sequence[float], models: Mapping[str, Mapping[str, Any]], loss: str, path: Path) -> None:
    """Draws the loss around each model on its two directions, above of the last exit, below the mean of all.

    Args:
        at: coordinates along both directions.
        models: by name, with `last` and `mean`, each a grid.
        loss: what it is, with its unit.
        path: where; the suffix says the format.
    """
    with figure(path, 1.5 + 2.7 * len(models), 5.6) as drawn:
        panels = drawn.subplots(2, len(models), squeeze=False, sharex=True, sharey=True)
        for row, (kind, of) in zip(panels, KINDS.items(), strict=True):
            grids = [np.array(model[kind], np.float64) for model in models.values()]
            contours(drawn, list(row), at, at, grids, of)
            row[0].set_ylabel("along direction 2,\nin lengths of the filters")
        for axes, name in zip(panels[0], models, strict=True):
            axes.set_title(name, loc="left", fontsize=9)
        for axes in panels[1]:
            axes.set_xlabel("along direction 1,\nin lengths of the filters")
        drawn.suptitle(loss, fontsize=10)


def connectivity_figure(
    lines: Sequence[Sequence[Mapping[str, Any]]], plane: Mapping[str, Any] | None, loss: str, path: Path
) -> None:
    """Draws the loss on the way between networks, and on the plane through three of them.

    Args:
        lines: for each pair of regimes its lines, one for each seed; bands are one standard deviation.
        plane: with `x`, `y`, `corners`, `last` and `mean`; None: there is none.
        loss: what it is, with its unit.
        path: where; the suffix says the format.
    """
    columns = 2 if plane is None else 3
    with figure(path, 4.0 * columns, 4.2) as drawn:
        panels = drawn.subplots(1, columns)
        for axes, (kind, of) in zip(panels, KINDS.items(), strict=False):
            for place, seeds in enumerate(lines):
                _line(axes, seeds, kind, colour(place))
            axes.set_xlabel("share of the way")
            axes.set_ylabel(f"loss, {of}")
        if plane is not None:
            _plane(drawn, panels[2], plane)
        drawn.suptitle(loss, fontsize=10)
        drawn.legend(*panels[0].get_legend_handles_labels(), fontsize=8, ncols=4, loc="outside lower left")


def contours(
    drawn: Figure,
    panels: list[Axes],
    x: Sequence[float],
    y: Sequence[float],
    grids: Sequence[Float[np.ndarray, "y x"]],
    label: str,
) -> None:
    """Filled contours of several grids on one logarithmic scale; places without a finite loss are left white."""
    known = np.concatenate([grid[np.isfinite(grid)].ravel() for grid in grids])
    low = max(float(known.min(initial=np.inf)), 1e-6) if len(known) else 1.0
    high = max(float(known.max(initial=0.0)), 1.01 * low) if len(known) else 2.0
    scale, levels = LogNorm(low, high), np.geomspace(low, high, LEVELS)
    for axes, grid in zip(panels, grids, strict=True):
        clipped = np.ma.masked_invalid(np.clip(grid, low, high))
        image = axes.contourf(x, y, clipped, levels, norm=scale, cmap="cividis", extend="both")
        axes.grid(visible=False)
    bar = drawn.colorbar(image, ax=panels, label=label, fraction=0.06)
    ticks = np.geomspace(low, high, 5)
    bar.set_ticks(ticks.tolist(), labels=[f"{tick:.2g}" for tick in ticks])
    bar.minorticks_off()


def _line(axes: Axes, seeds: Sequence[Mapping[str, Any]], kind: str, ink: str) -> None:
    share = np.array(seeds[0]["at"], np.float64)
    values = np.array([one[kind] for one in seeds], np.float64)
    banded(axes, share, values, ink, f"{seeds[0]['from']} to {seeds[0]['to']}")


def _plane(drawn: Figure, axes: Axes, plane: Mapping[str, Any]) -> None:
    grid = np.array(plane["last"], np.float64)
    contours(drawn, [axes], plane["x"], plane["y"], [grid], f"loss, {KINDS['last']}")
    for place, (name, (x, y)) in enumerate(plane["corners"].items()):
        axes.plot(x, y, "o", color=SERIES[place], markeredgecolor="white", label=name)
    axes.set_xlabel("distance in the plane, in weights")
    axes.set_ylabel("distance in the plane, in weights")
    axes.legend(fontsize=8, facecolor="white", framealpha=0.9, frameon=True)
