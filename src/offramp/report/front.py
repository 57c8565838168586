"""The front and the exit shares of an evaluation, as a figure."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib import colormaps
from matplotlib.axes import Axes

from offramp.evaluation import Evaluated, Evaluation
from offramp.report.few import few
from offramp.report.style import BLUE, GREEN, GREY, ORANGE, figure


def front_figure(evaluation: Evaluation, exits: Sequence[str], path: Path) -> None:
    """Draws agreement and accuracy against cost (left), and where samples leave (right).

    Of many operating points some are on the right; all are on the left.

    Args:
        evaluation: what is drawn.
        exits: names of the exits by depth, the backbone last.
        path: where; the suffix says the format.
    """
    shown = few(evaluation.points)
    rows = max(len(exits), len(shown))
    with figure(path, 11.0, max(4.2, 0.22 * rows + 1.2)) as drawn:
        left, right = drawn.subplots(1, 2)
        _front(evaluation, left)
        _shares(shown, exits, right)


def _front(evaluation: Evaluation, axes: Axes) -> None:
    points = sorted(evaluation.points, key=lambda point: point.cost_ratio)
    cost = [100 * point.cost_ratio for point in points]
    agreement = [100 * point.agreement for point in points]
    axes.plot(cost, agreement, "o-", color=BLUE, markersize=5, label="agreement with the backbone")
    _bars(points, axes)
    if evaluation.accuracy is not None:
        accuracy = [100 * (point.accuracy or 0) for point in points]
        axes.plot(cost, accuracy, "s-", color=ORANGE, markersize=4, label="accuracy")
        axes.axhline(100 * evaluation.accuracy, color=GREY, linestyle=":", label="accuracy of the backbone")
    for risk, floor, label in (
        ("disagreement", 1.0, "certified agreement, at least"),
        ("error", evaluation.accuracy, "certified accuracy, at least"),
        ("gap", evaluation.accuracy, "certified accuracy, at least"),
    ):
        bounds = [(at, point.bound) for at, point in zip(cost, points, strict=True) if point.bound is not None]
        proved = [(at, 100 * (floor - bound.epsilon)) for at, bound in bounds if floor and bound.risk == risk]
        if proved:
            mean = " (on average)" if any(bound.delta is None for _, bound in bounds) else ""
            axes.plot(*zip(*proved, strict=True), "v", color=GREEN, markersize=5, label=label + mean)
    axes.axvline(100 * evaluation.oracle_cost, color=GREY, linestyle="--", linewidth=1, label="oracle for these heads")
    axes.set_xlabel("mean MACs, % of the plain model")
    axes.set_ylabel("% of samples")
    part = "" if evaluation.part == "all" else f" of the {evaluation.part} part"
    axes.set_title(f"{evaluation.samples} samples{part}", loc="left")
    axes.legend(fontsize=8)


def _bars(points: Sequence[Evaluated], axes: Axes) -> None:
    """Intervals of 95 % around the agreement, where it is a share of samples."""
    known = [(100 * p.cost_ratio, 100 * p.agreement, p.agreement_interval) for p in points if p.agreement_interval]
    if known:
        low = [agreement - 100 * interval[0] for _, agreement, interval in known]
        high = [100 * interval[1] - agreement for _, agreement, interval in known]
        at, agreement = [one[0] for one in known], [one[1] for one in known]
        axes.errorbar(at, agreement, [low, high], fmt="none", ecolor=BLUE, alpha=0.35, capsize=2, label="95 % interval")


def _shares(points: Sequence[Evaluated], exits: Sequence[str], axes: Axes) -> None:
    inner = colormaps["viridis"]
    names = [point.name for point in points]
    below = [0.0] * len(names)
    for index, exit_ in enumerate(exits):
        share = [100 * point.exit_share[index] for point in points]
        colour = GREY if index == len(exits) - 1 else inner(index / max(1, len(exits) - 2))
        axes.barh(names, share, left=below, color=colour, label=exit_)
        below = [done + more for done, more in zip(below, share, strict=True)]
    axes.set_xlabel("% of samples leaving there")
    axes.set_xlim(0, 100)
    axes.grid(visible=False)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), title="exit")
    axes.invert_yaxis()
