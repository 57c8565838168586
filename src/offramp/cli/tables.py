"""Tables for people."""

from rich.table import Table

from offramp.bundle import Bundle
from offramp.evaluate import Evaluation
from offramp.types import Bound


def front_table(bundle: Bundle) -> Table:
    """The operating points of a bundle with what the report part says of them, and their certificates."""
    goal = bundle.manifest.goal
    table = Table(title=f"operating points (certificates hold together with probability {1 - goal['delta']:.2f})")
    for column in ("point", "cost", bundle.manifest.risk, "leaves early", "certified"):
        table.add_column(column, justify="left" if column == "point" else "right")
    for point, report in zip(bundle.points, bundle.report, strict=True):
        table.add_row(
            point.name,
            percent(report.cost),
            percent(report.loss, 2),
            percent(1 - report.exit_share[-1]),
            certificate(point.bound),
        )
    return table


def evaluation_table(evaluation: Evaluation) -> Table:
    """An evaluation, a row for each operating point."""
    accuracy = "" if evaluation.accuracy is None else f", backbone accuracy {percent(evaluation.accuracy, 2)}"
    part = "" if evaluation.part == "all" else f" of the part {evaluation.part!r}"
    table = Table(title=f"{evaluation.samples} samples{part}{accuracy}, oracle cost {percent(evaluation.oracle_cost)}")
    sizes = list(evaluation.points[0].time_ratio) if evaluation.points else []
    table.add_column("point")
    for column in (
        "cost",
        "agreement",
        "accuracy",
        "drop",
        *(f"time, batch {size}" for size in sizes),
        "certified",
    ):
        table.add_column(column, justify="right")
    for point in evaluation.points:
        table.add_row(
            point.name,
            percent(point.cost_ratio),
            percent(point.agreement, 2),
            "-" if point.accuracy is None else percent(point.accuracy, 2),
            "-" if point.accuracy_drop is None else f"{point.accuracy_drop:+.2f}",
            *(percent(point.time_ratio[size]) for size in sizes),
            certificate(point.bound),
        )
    return table


def certificate(bound: Bound | None) -> str:
    """A bound in a few words."""
    return "-" if bound is None else f"{bound.risk} ≤ {percent(bound.epsilon, 2)}"


def percent(share: float, digits: int = 1) -> str:
    """A share in percent.

    >>> percent(0.1234)
    '12.3 %'
    """
    return f"{100 * share:.{digits}f} %"
