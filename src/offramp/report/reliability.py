"""Reliability diagrams: how often answers of a confidence are right, at each exit and as run."""

from collections.abc import Sequence
from math import ceil
from pathlib import Path

from matplotlib.axes import Axes

from offramp.errors import InputError
from offramp.evaluation import Evaluated, Evaluation
from offramp.report.style import BLUE, GREY, ORANGE, figure
from offramp.report.units import percent
from offramp.uncertainty.reliability import Reliability

COLUMNS = 4
"""Diagrams in a row."""

RIGHT = {"labels": "right, %", "backbone": "like the backbone, %"}


def reliability_figure(
    evaluation: Evaluation, exits: Sequence[str], path: Path, point: Evaluated | None = None
) -> None:
    """Draws a diagram for each exit on all samples, and one of what an operating point answers.

    A dot is a bin, its area the share of samples in it; below the diagonal an exit is surer than it should be.

    Args:
        evaluation: what is drawn; at least one operating point.
        exits: names of the exits by depth, the backbone last.
        path: where; the suffix says the format.
        point: the operating point, one of them; None: the cheapest.
    """
    run = point or evaluation.points[-1]
    if run.reliability is None:
        raise InputError("expected a task with classes for reliability diagrams, got one without; leave them out")
    shown = [*zip(exits, evaluation.exits, strict=True), (f"{run.name}, as run", run.reliability)]
    columns, rows = min(COLUMNS, len(shown)), ceil(len(shown) / COLUMNS)
    with figure(path, 2.6 * columns + 0.4, 2.7 * rows + 0.3) as drawn:
        panels = drawn.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for place, axes in enumerate(panels.flat):
            if place < len(shown):
                name, found = shown[place]
                _diagram(axes, found, ORANGE if place == len(shown) - 1 else BLUE)
                axes.set_title(f"{name}\nECE {percent(found.error)}", loc="left", fontsize=9)
            else:
                axes.set_visible(False)
        for axes in panels[:, 0]:
            axes.set_ylabel(RIGHT[evaluation.against])
        for axes in panels.flat[max(0, len(shown) - columns) : len(shown)]:  # the lowest of each column
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("confidence, %")


def _diagram(axes: Axes, found: Reliability, colour: str) -> None:
    total = sum(found.count)
    axes.plot([0, 100], [0, 100], color=GREY, linewidth=1)
    confidence, right = ([100 * value for value in values] for values in (found.confidence, found.right))
    axes.plot(confidence, right, color=colour, linewidth=1)
    axes.scatter(confidence, right, s=[max(4.0, 300 * count / total) for count in found.count], color=colour, alpha=0.7)
    axes.set_xlim(0, 102)
    axes.set_ylim(0, 102)
    axes.set_aspect("equal")
