"""What a method did: chosen on one part of the data, reported on another. NumPy arithmetic on recorded outputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from offramp import search
from offramp.arrays import Bool
from offramp.confidence import Said
from offramp.covering import prediction_sets
from offramp.decide.certify import certify
from offramp.decide.pareto import front
from offramp.decide.replay import operating_point, replay
from offramp.deciding import allowance
from offramp.types import Configuration, ExitTable, OperatingPoint
from offramp.uncertainty.calibration_error import calibration_error

DROPS = (0.5, 1.0, 2.0)
"""Points of drop at which costs are told."""

BUDGETS = (25.0, 50.0, 75.0, 100.0)
"""Costs in % of the backbone's at which accuracies are told."""

ALPHA = 0.1
"""Share of targets that a prediction set may miss."""

LOOSE = 0.2
"""A goal at which the searchers that return a path go far, so that there is something for small budgets."""


@dataclass(frozen=True)
class Chosen:
    """A configuration on the report part.

    Attributes:
        cost: mean MACs as a share of the backbone's.
        drop: points of accuracy lost.
        disagreement: % of samples answered otherwise than by the backbone.
        accuracy: %.
    """

    cost: float
    drop: float
    disagreement: float
    accuracy: float


@dataclass(frozen=True)
class AtExit:
    """An exit at the configuration chosen for one point of drop (SelfXit, table 2).

    Attributes:
        name: of the exit.
        depth: share of the backbone's MACs before it.
        agreement: % of all samples on which it names the backbone's class.
        accuracy: % of all samples on which it names the label.
        hit_rate: % of the samples that reach it which leave there.
        share: % of all samples that leave there.
        effect: points of accuracy lost there.
        ece: calibration error on all samples, %.
    """

    name: str
    depth: float
    agreement: float
    accuracy: float
    hit_rate: float
    share: float
    effect: float
    ece: float


@dataclass(frozen=True)
class MethodRow:
    """A recipe on a backbone and data with one seed; costs are shares, accuracies and drops in % and points.

    Attributes:
        recipe: its name, or that of a variant.
        variant_of: the recipe that it is a variant of; its own name where it is none.
        differs: what is other than there.
        backbone: as the config names it.
        data: likewise.
        seed: of everything.
        labels: whether labels trained heads or chose thresholds.
        accuracy: of the user's model on the report part.
        cost_at_drop: by points of drop, the cost of the cheapest configuration that keeps it on the choose part.
        chosen: the same configurations in full: with the drop they turned out to have.
        asked: by points of drop as the goal of the search, what the cheapest configuration found turned out to do.
        read_off: by points of drop, the least cost whose drop on the report part itself is no more; optimistic.
        accuracy_at_cost: by % of the backbone's MACs, the accuracy of the best configuration within it on the choose
            part; `max`: with no limit.
        certified: cost and disagreement of the cheapest point with at most 1 % by certificate (delta = 0.1).
        oracle_cost: if each sample left at the first exit that agrees.
        ece: calibration error as run, at one point of drop, %.
        conformal: mean size and coverage of gated prediction sets there.
        exits: each exit.
        head_parameters: of all heads.
        seconds: that training and searching took, where nothing was interrupted; heads that several recipes share count
            with the time of their one training. Passes of the backbone that recipes share are not in it; those of one
            recipe alone are (students, small models, a trained copy).
        front: cost and accuracy on the report part of the configurations that no other one beats on the choose part.
    """

    recipe: str
    variant_of: str
    differs: Mapping[str, Any]
    backbone: str
    data: str
    seed: int
    labels: bool
    accuracy: float
    cost_at_drop: Mapping[str, float]
    chosen: Mapping[str, Chosen]
    asked: Mapping[str, Chosen]
    read_off: Mapping[str, float]
    accuracy_at_cost: Mapping[str, float]
    certified: Chosen | None
    oracle_cost: float
    ece: float
    conformal: Mapping[str, float]
    exits: Sequence[AtExit]
    head_parameters: int
    seconds: float
    front: Sequence[tuple[float, float]] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Tables:
    """Scores and losses of a recipe on the three parts that heads did not learn from.

    Attributes:
        choose: what is searched: disagreement, or error where the recipe reads labels.
        certify: disagreement.
        report: what all exits say on the report part.
        certifying: what they say on the certify part.
    """

    choose: ExitTable
    certify: ExitTable
    report: Said
    certifying: Said

    def on_report(self, configuration: Configuration) -> Chosen:
        """What a configuration does there."""
        taken = replay(self.report.table, configuration)
        plain = self.report.plain_error
        assert self.report.error is not None
        assert plain is not None
        error = self.report.error[taken.exit_index, np.arange(self.report.table.samples)].mean()
        return Chosen(
            cost=float(taken.cost.mean() / self.report.table.cost.backbone),
            drop=100.0 * float(error - plain.mean()),
            disagreement=100.0 * float(taken.loss.mean()),
            accuracy=100.0 * float(1.0 - error),
        )


def paths(choose: ExitTable, searcher: str) -> dict[float, list[Configuration]]:
    """What a searcher returns for each goal; the loosest one has the most."""
    made, own = search.NAMES[searcher](), replace(choose, reference=None)
    return {drop: made.search(own, allowance(choose, drop / 100.0)) for drop in (*DROPS, 100.0 * LOOSE)}


def best_of(choose: ExitTable, path: Sequence[Configuration]) -> list[Configuration]:
    """Those that no other one beats in cost and loss on the choose part, the cheapest first."""
    points = [operating_point(choose, one, str(i)) for i, one in enumerate(path)]
    return [point.configuration for point in front(points)]


def cheapest_within(choose: ExitTable, path: Sequence[Configuration], drop: float) -> Configuration:
    """The cheapest configuration that loses at most so many points; there is always the full one.

    What is lost is disagreement, or where labels are read accuracy, lucky gains counted as most papers count them.
    """
    own = float(choose.plain.mean())
    allowed = [one for one in path if float(replay(choose, one).loss.mean()) - own <= drop / 100.0 + 1e-12]
    allowed = allowed or [Configuration.full(choose.exits - 1)]
    return min(allowed, key=lambda one: operating_point(choose, one, "").cost)


def best_within(choose: ExitTable, path: Sequence[Configuration], budget: float) -> Configuration | None:
    """The configuration with the least loss among those within so many % of the backbone's cost; None: none is."""
    points = [operating_point(choose, one, "") for one in path]
    allowed = [point for point in points if point.cost <= budget / 100.0 + 1e-12]
    return min(allowed, key=lambda point: (point.loss, point.cost)).configuration if allowed else None


def read_off(tables: Tables, path: Sequence[Configuration]) -> dict[str, float]:
    """The least cost on the report part whose drop there is no more than asked."""
    found = [tables.on_report(one) for one in path]
    return {f"{drop:g}": min((one.cost for one in found if one.drop <= drop + 1e-9), default=1.0) for drop in DROPS}


def certified_point(tables: Tables, path: Sequence[Configuration], delta: float = 0.1) -> Configuration | None:
    """The cheapest configuration of a path that is certified to disagree on at most 1 %."""
    points = [operating_point(tables.choose, one, f"p{i}") for i, one in enumerate(path)]
    proved = certify(points, tables.certify, 0.01, delta)
    good: list[OperatingPoint] = [p for p in proved if p.bound is not None and p.bound.epsilon <= 0.01]
    return min(good, key=lambda point: point.cost).configuration if good else None


def at_exits(report: Said, names: Sequence[str], configuration: Configuration) -> list[AtExit]:
    """What each exit is worth, by itself and at a configuration."""
    assert report.error is not None
    assert report.plain_error is not None
    table, error, plain = report.table, report.error, report.plain_error
    left = replay(table, configuration).exit_index
    found = []
    for index, name in enumerate(names):
        arrived: Bool[np.ndarray, " samples"] = left >= index
        here = left == index
        lost = error[index][here].sum() - plain[here].sum()
        found.append(
            AtExit(
                name=name,
                depth=float(table.cost.upto[index] / table.cost.backbone),
                agreement=100.0 * float(1.0 - table.loss[index].mean()),
                accuracy=100.0 * float(1.0 - error[index].mean()),
                hit_rate=100.0 * float(here.sum() / max(arrived.sum(), 1)),
                share=100.0 * float(here.mean()),
                effect=100.0 * float(lost / table.samples),
                ece=100.0 * calibration_error(report.of_classes[index], report.target).expected,
            )
        )
    return found


def as_run(report: Said, configuration: Configuration) -> float:
    """Calibration error of the answers that are given, %."""
    left = replay(report.table, configuration).exit_index
    return 100.0 * calibration_error(report.of_classes, report.target, left).expected


def sets_of(tables: Tables, configuration: Configuration) -> dict[str, float]:
    """Mean size and coverage of gated prediction sets, calibrated on the certify part and tested on the report part."""
    point = operating_point(tables.choose, configuration, "chosen")
    found = prediction_sets(tables.certifying, tables.report, [point], ALPHA, ("certify", "report"))
    gated = found.points["chosen"]["gated"]
    return {"alpha": ALPHA, "size": gated.size, "coverage": gated.coverage}
