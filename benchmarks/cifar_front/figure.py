"""The figure of the benchmark."""

from pathlib import Path
from typing import Any

import numpy as np

from offramp.report.style import BLUE, GREY, ORANGE, figure

COLOURS = {"a": BLUE, "b": ORANGE}
LABELS = {"a": "2,500 unlabelled images", "b": "12,500 unlabelled images"}
GRID = np.linspace(0.3, 1.0, 141)
"""Costs at which fronts are averaged over seeds."""


def draw(result: dict[str, Any], path: Path) -> None:
    """Draws accuracy lost against cost, mean and range over seeds, and the certified points."""
    with figure(path, 7.0, 4.2) as drawn:
        axes = drawn.add_subplot()
        for name, protocol in result["protocols"].items():
            lost = np.array([_lost(run) for run in protocol["runs"]])
            colour = COLOURS[name]
            axes.plot(100 * GRID, lost.mean(axis=0), color=colour, label=f"{LABELS[name]} (mean of {len(lost)} splits)")
            axes.fill_between(100 * GRID, lost.min(axis=0), lost.max(axis=0), color=colour, alpha=0.15, linewidth=0)
            for run in protocol["runs"]:
                axes.plot(
                    100 * run["certified"]["cost"], run["certified"]["accuracy_drop"], "v", color=colour, markersize=5
                )
            oracle = 100 * protocol["summary"]["oracle_cost"]["mean"]
            axes.axvline(oracle, color=colour, linestyle=":", linewidth=1)
        axes.plot([], [], "v", color=GREY, label="certified: disagreement ≤ 1 %, δ = 0.1")
        axes.plot([], [], ":", color=GREY, label="oracle for these heads, no disagreement")
        axes.set_xlabel("mean MACs, % of the plain model")
        axes.set_ylabel("accuracy lost, points")
        axes.set_ylim(-0.5, 5)
        axes.set_title("ResNet-56 on CIFAR-10, exits trained and chosen without labels", loc="left", fontsize=10)
        axes.legend(fontsize=8)


def _lost(run: dict[str, Any]) -> np.ndarray:
    """Points of accuracy lost at each cost of the grid, between the operating points of one seed."""
    cost, _, accuracy = np.array(sorted(run["front"])).T
    lost: np.ndarray = 100 * (run["backbone_accuracy"] - np.interp(GRID, cost, accuracy))
    return lost
