"""From recorded outputs to certified operating points."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offramp import calibrate, search
from offramp.calibrate.calibrator import Calibrator
from offramp.decide.certify import certify
from offramp.decide.replay import operating_point
from offramp.gates import gate
from offramp.kept import named, worth_keeping
from offramp.model.multi_exit import MultiExit, Recording
from offramp.options import Options
from offramp.sources import Labels
from offramp.split import Parts
from offramp.tasks.task import Task
from offramp.types import CostProfile, ExitTable, Goal, OperatingPoint


@dataclass(frozen=True, eq=False)
class Decided:
    """Calibrators, costs, and the certified operating points with their figures on the report part."""

    calibrators: tuple[Calibrator, ...]
    cost: CostProfile
    points: tuple[OperatingPoint, ...]
    aliases: dict[str, str]
    report: tuple[OperatingPoint, ...]
    risk: str


def decide(
    multi_exit: MultiExit,
    recordings: dict[str, Recording],
    task: Task,
    labels: Labels | None,
    parts: Parts,
    options: Options,
) -> Decided:
    """Calibrates and searches on the choose part, proves on the certify part, and measures on the report part."""
    chosen = options.chosen()
    choose = recordings["choose"]
    target = task.predict(choose.reference) if labels is None else labels[parts["choose"]]
    start = calibrate.NAMES[chosen.calibrator]()
    calibrators = tuple(start.fit(logits, target) for logits in choose.outputs[:-1])
    cost = multi_exit.macs()
    tables = {
        part: table(recording, task, chosen.gate, calibrators, cost, None if labels is None else labels[parts[part]])
        for part, recording in recordings.items()
    }
    path = search.NAMES[chosen.searcher]().search(tables["choose"], Goal(options.max_drop))
    points = [operating_point(tables["choose"], found, f"p{index:02d}") for index, found in enumerate(path)]
    certified = certify(points, tables["certify"], options.max_drop, options.delta)
    kept, aliases = named(worth_keeping(certified, options.keep), options.max_drop)
    report = tuple(operating_point(tables["report"], point.configuration, point.name) for point in kept)
    return Decided(calibrators, cost, kept, aliases, report, tables["choose"].risk)


def table(
    recording: Recording,
    task: Task,
    gate_name: str,
    calibrators: Sequence[Calibrator],
    cost: CostProfile,
    labels: Labels | None = None,
) -> ExitTable:
    """Scores and losses of a recording: disagreement with the backbone, or error where labels are given."""
    if labels is None:
        loss, risk = task.disagreement(recording.outputs, recording.reference), "disagreement"
    else:
        loss, risk = task.error(recording.outputs, labels), "error"
    scores = recording.scores(gate(gate_name), calibrators)
    return ExitTable(scores, loss.astype(np.float64), cost, recording.split, risk)
