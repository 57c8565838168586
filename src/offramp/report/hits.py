"""What each exit would do alone at each threshold, as figures (SelfXit, figures 2 and 9 to 17)."""

from collections.abc import Callable, Sequence
from math import ceil
from pathlib import Path

from matplotlib.artist import Artist
from matplotlib.axes import Axes

from offramp.decide.hits import HitCurve
from offramp.report.style import BLUE, GREEN, GREY, ORANGE, figure

COLUMNS = 4
"""Panels in a row."""

FEW = 0.005
"""Of fewer hits than this share of the samples nothing is drawn."""


def hits_figure(
    curves: Sequence[HitCurve], exits: Sequence[str], thresholds: Sequence[float | None], path: Path
) -> None:
    """Draws for each exit the hit rate, and how often hits agree and are right, against the threshold.

    Args:
        curves: of each exit but the last.
        exits: their names.
        thresholds: where the operating point has its threshold; None where the exit is off.
        path: where; the suffix says the format.
    """
    _panels(curves, exits, thresholds, path, _rates, ("of all samples, or of the hits, %", (-3.0, 103.0)))


def effect_figure(
    curves: Sequence[HitCurve], exits: Sequence[str], thresholds: Sequence[float | None], path: Path
) -> None:
    """Draws for each exit what leaving there takes from the accuracy of the whole, and its bound without labels."""
    _panels(curves, exits, thresholds, path, _effect, ("of all samples, %", None))


def _panels(
    curves: Sequence[HitCurve],
    exits: Sequence[str],
    thresholds: Sequence[float | None],
    path: Path,
    draw: Callable[[Axes, HitCurve], None],
    labelled: tuple[str, tuple[float, float] | None],
) -> None:
    columns, rows = min(COLUMNS, len(curves)), ceil(len(curves) / COLUMNS)
    with figure(path, 2.6 * columns + 0.6, 2.3 * rows + 0.7) as drawn:
        panels = drawn.subplots(rows, columns, sharey=True, squeeze=False)
        for place, axes in enumerate(panels.flat):
            if place >= len(curves):
                axes.set_visible(False)
                continue
            draw(axes, curves[place])
            threshold = thresholds[place]
            if threshold is not None:
                axes.axvline(threshold, color=GREY, linestyle="--", linewidth=1, label="threshold in use")
            axes.set_title(exits[place] + (" (off)" if threshold is None else ""), loc="left", fontsize=9)
            axes.set_xlabel("threshold")
        for axes in panels[:, 0]:
            axes.set_ylabel(labelled[0])
        if labelled[1] is not None:
            panels[0, 0].set_ylim(*labelled[1])
        known: dict[str, Artist] = {}
        for axes in panels.flat:
            known |= {str(label): handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
        drawn.legend(list(known.values()), list(known), loc="outside upper center", ncols=len(known), fontsize=8)


def _rates(axes: Axes, curve: HitCurve) -> None:
    enough = curve.hit_rate >= FEW  # what the last two or three samples do is noise
    axes.plot(curve.threshold, 100 * curve.hit_rate, color=BLUE, label="hit rate")
    agreement = 100 * curve.agreement[enough]
    axes.plot(curve.threshold[enough], agreement, color=GREEN, label="hits that agree with the backbone")
    if curve.accuracy is not None:
        axes.plot(curve.threshold[enough], 100 * curve.accuracy[enough], color=ORANGE, label="hits that are right")


def _effect(axes: Axes, curve: HitCurve) -> None:
    axes.plot(curve.threshold, 100 * curve.bound, color=GREEN, label="hits that disagree, the bound without labels")
    if curve.effect is not None:
        axes.plot(curve.threshold, 100 * curve.effect, color=ORANGE, label="effect: accuracy that is lost")
    axes.axhline(0, color=GREY, linewidth=0.8)
