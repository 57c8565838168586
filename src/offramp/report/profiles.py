"""Ranks and information along the depth of a network, as figures: a line for each regime, a band for its seeds."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from offramp.arrays import Float
from offramp.report.style import GREY, SERIES, banded, figure

ByLayer = Mapping[str, Any]
"""What one training has at each layer."""

Groups = Mapping[str, Sequence[ByLayer]]
"""The trainings (seeds) of each regime."""

RANKS = {
    "numerical": "numerical rank",
    "counted": "singular values above\na thousandth of the largest",
    "effective": "effective rank",
}
"""What is drawn of `analyze.rank.Ranks`."""


def ranks_figure(layers: Sequence[str], groups: Groups, path: Path) -> None:
    """Draws the three ranks at each layer: means over seeds, with bands of one standard deviation.

    Dotted: what no rank can be above, for the number of samples or of entries.
    """
    with figure(path, 11.0, 3.8) as drawn:
        panels = drawn.subplots(1, len(RANKS), sharex=True)
        most = [_most(next(iter(groups.values()))[0][layer]) for layer in layers]
        for axes, (kind, label) in zip(panels, RANKS.items(), strict=True):
            axes.plot(range(len(layers)), most, ":", color=GREY, label="at most")
            for place, (group, seeds) in enumerate(groups.items()):
                _line(axes, _values(layers, seeds, lambda one, kind=kind: one[kind]), colour(place), group)  # type: ignore[misc]
            axes.set_yscale("log")
            axes.set_ylabel(label)
            named(axes, layers)
        panels[0].legend(fontsize=8)


def information_figure(layers: Sequence[str], groups: Groups, level: int, path: Path) -> None:
    """Draws information about inputs, between its two bounds, and about answers, between its two estimates, in nats.

    Solid: both entropies by their lower bounds; dashed: by their upper ones. Means over seeds, with bands of one
    standard deviation. Dotted: what there can be at most.

    Args:
        layers: by depth.
        groups: `analyze.information.Information` of each layer, one for each level of noise, or None.
        level: which of the levels.
        path: where; the suffix says the format.
    """
    first = next(one for seeds in groups.values() for seed in seeds for one in seed.values() if one)[level]
    with figure(path, 10.0, 4.2) as drawn:
        panels = drawn.subplots(1, 2, sharex=True)
        for axes, kind, most, label in (
            (panels[0], "inputs", first["most"], "I(X;Z'), nats"),
            (panels[1], "answers_alike", first["entropy"], "I(Z';Y), nats"),
        ):
            axes.axhline(most, color=GREY, linestyle=":", label="at most")
            for place, (group, seeds) in enumerate(groups.items()):
                for side, style in enumerate(("-", "--")):

                    def value(one: Any, kind: str = kind, side: int = side) -> float:
                        return float("nan") if one is None else float(one[level][kind][side])

                    label_of = group if side == 0 else None
                    _line(axes, _values(layers, seeds, value), colour(place), label_of, style)
            axes.set_ylabel(label)
            axes.set_ylim(bottom=0.0)
            named(axes, layers)
        panels[0].set_title(f"noise of {first['noise']:g} times the scale of the features", loc="left", fontsize=10)
        panels[1].set_title("solid: entropies by lower bounds; dashed: by upper ones", loc="left", fontsize=10)
        panels[0].legend(fontsize=8)


def named(axes: Axes, layers: Sequence[str]) -> None:
    """The layers along the horizontal axis."""
    axes.set_xticks(range(len(layers)), list(layers), rotation=90, fontsize=8)
    axes.set_xlabel("layer, by depth")


def colour(place: int) -> str:
    """Of the regime at that place."""
    return SERIES[place % len(SERIES)]


def _line(
    axes: Axes, values: Float[np.ndarray, "seeds places"], colour: str, label: str | None, style: str = "-"
) -> None:
    banded(axes, np.arange(values.shape[1]), values, colour, label, linestyle=style, marker="o", markersize=3)


def _values(
    layers: Sequence[str], seeds: Sequence[ByLayer], value: Callable[[Any], float]
) -> Float[np.ndarray, "seeds places"]:
    return np.array([[value(seed[layer]) for layer in layers] for seed in seeds], np.float64)


def _most(one: Mapping[str, Any]) -> int:
    return min(int(one["width"]), int(one["samples"]) - 1)
