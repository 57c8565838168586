"""The front and the exit shares of an evaluation, as a figure."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib import colormaps
from matplotlib.axes import Axes

from offramp.evaluate import Evaluation
from offramp.report.style import BLUE, GREEN, GREY, ORANGE, figure


def front_figure(evaluation: Evaluation, exits: Sequence[str], path: Path) -> None:
    """Draws agreement and accuracy against cost (left), and where samples leave at each operating point (right)."""
    with figure(path, 11.0, 4.2) as drawn:
        left, right = drawn.subplots(1, 2)
        _front(evaluation, left)
        _shares(evaluation, exits, right)


def _front(evaluation: Evaluation, axes: Axes) -> None:
    cost = [100 * point.cost_ratio for point in evaluation.points]
    axes.plot(
        cost,
        [100 * point.agreement for point in evaluation.points],
        "o-",
        color=BLUE,
        label="agreement with the backbone",
    )
    if evaluation.accuracy is not None:
        axes.plot(
            cost,
            [100 * (point.accuracy or 0) for point in evaluation.points],
            "s-",
            color=ORANGE,
            label="accuracy",
        )
        axes.axhline(100 * evaluation.accuracy, color=GREY, linestyle=":", label="accuracy of the backbone")
    bounded = [point for point in evaluation.points if point.bound is not None]
    axes.plot(
        [100 * point.cost_ratio for point in bounded],
        [100 * (1 - point.bound.epsilon) for point in bounded if point.bound is not None],
        "v",
        color=GREEN,
        markersize=4,
        label="certified agreement" if evaluation.accuracy is None or _disagreement(evaluation) else "certified",
    )
    axes.axvline(100 * evaluation.oracle_cost, color=GREY, linestyle="--", linewidth=1, label="oracle for these heads")
    axes.set_xlabel("mean MACs, % of the plain model")
    axes.set_ylabel("% of samples")
    axes.set_title(f"{evaluation.samples} samples that chose nothing", loc="left")
    axes.legend(fontsize=8)


def _disagreement(evaluation: Evaluation) -> bool:
    return any(point.bound is not None and point.bound.risk == "disagreement" for point in evaluation.points)


def _shares(evaluation: Evaluation, exits: Sequence[str], axes: Axes) -> None:
    colours = colormaps["viridis"]
    names = [point.name for point in evaluation.points]
    below = [0.0] * len(names)
    for index, exit_ in enumerate(exits):
        share = [100 * point.exit_share[index] for point in evaluation.points]
        axes.barh(names, share, left=below, color=colours(index / max(1, len(exits) - 1)), label=exit_)
        below = [done + more for done, more in zip(below, share, strict=True)]
    axes.set_xlabel("% of samples leaving there")
    axes.set_xlim(0, 100)
    axes.grid(visible=False)
    axes.legend(fontsize=6, loc="center left", bbox_to_anchor=(1.0, 0.5), title="exit")
    axes.invert_yaxis()
