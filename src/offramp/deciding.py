"""From recorded outputs to certified operating points."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from offramp import calibrate, search
from offramp.arrays import Float
from offramp.calibrate.calibrator import Calibrator
from offramp.decide import guarantees
from offramp.decide.certify import certify
from offramp.decide.replay import operating_point
from offramp.gates import gate
from offramp.gates.gate import Gate
from offramp.gates.learned import Learned, Tolerant
from offramp.kept import named, worth_keeping
from offramp.model.multi_exit import MultiExit, Recording
from offramp.options import Options
from offramp.recipe import Recipe
from offramp.sources import Labels
from offramp.split import Parts
from offramp.strata import further_bounds
from offramp.tasks.task import Graded, Stratified, Task
from offramp.types import CostProfile, ExitTable, Goal, OperatingPoint


@dataclass(frozen=True, eq=False)
class Decided:
    """Gate, calibrators, costs, and the certified operating points with their figures on the report part.

    `plain` is the mean loss of the user's model on the report part: that of `full`, unless the backbone was trained.
    """

    gate: Gate
    calibrators: tuple[Calibrator, ...]
    cost: CostProfile
    points: tuple[OperatingPoint, ...]
    aliases: dict[str, str]
    report: tuple[OperatingPoint, ...]
    risk: str
    plain: float


@dataclass(frozen=True)
class Wish:
    """What operating points are asked for.

    Attributes:
        gate: how safe it is to stop.
        searcher: what chooses exits and thresholds, by name.
        max_drop: largest excess risk wanted, a share.
        delta: probability that any certificate fails.
        keep: operating points kept at most.
        guarantee: what certificates promise, by name.
    """

    gate: Gate
    searcher: str
    max_drop: float
    delta: float
    keep: int
    guarantee: str = guarantees.DEFAULT


def decide(
    multi_exit: MultiExit,
    recordings: Mapping[str, Recording],
    task: Task,
    labels: Labels | None,
    parts: Parts,
    options: Options,
    trained: Gate | None = None,
) -> Decided:
    """Calibrates and searches on the choose part, proves on the certify part, and measures on the report part.

    `trained` is the gate that learned with the heads, where one did.
    """
    chosen = options.chosen()
    choose = recordings["choose"]
    known = None if labels is None else {part: labels[parts[part]] for part in recordings}
    calibrators, scorer = prepared(chosen, choose, task, None if known is None else known["choose"], trained)
    wish = Wish(scorer, chosen.searcher, options.max_drop, options.delta, options.keep, options.guarantee)
    macs = multi_exit.macs(scorer)
    return decide_by(macs, macs, recordings, task, known, calibrators, wish)


def prepared(
    chosen: Recipe, choose: Recording, task: Task, labels: Labels | None, trained: Gate | None = None
) -> tuple[tuple[Calibrator, ...], Gate]:
    """A recipe's calibrators and gate, fitted on the choose part: to its labels, or to the backbone's answer.

    Calibrators of a task whose probabilities are used as such are fitted to the backbone's instead of its class.
    `trained` is the gate that learned with the heads, where one did; another one that learns does so here.
    """
    target = task.predict(choose.reference) if labels is None else labels
    start, scorer = calibrate.NAMES[chosen.calibrator](), trained or gate(chosen.gate)
    aim = task.graded(choose.reference) if labels is None and isinstance(task, Graded) else target
    calibrators = tuple(start.fit(logits, aim) for logits in choose.outputs[:-1])
    if isinstance(scorer, Tolerant):
        scorer = scorer.tolerating(task.means.tolerance, len(calibrators))
    if trained is None and isinstance(scorer, Learned):
        outputs = np.stack([by(said) for by, said in zip(calibrators, choose.outputs, strict=False)])
        scorer = scorer.fitted(outputs, np.logical_not(task.error(outputs, target)))
    return calibrators, scorer


def decide_by(
    price: CostProfile,
    macs: CostProfile,
    recordings: Mapping[str, Recording],
    task: Task,
    labels: Mapping[str, Labels] | None,
    calibrators: tuple[Calibrator, ...],
    wish: Wish,
) -> Decided:
    """Searches for what is cheap by a price, proves it, and says what it costs in MACs.

    Args:
        price: what the search minimises, and what decides which of two points is the cheaper one.
        macs: what the points' costs are told in.
        recordings: the parts choose, certify and report.
        task: compares answers.
        labels: of each part, where the risk is error.
        calibrators: one per exit but the last.
        wish: what is asked for.
    """

    def tables(cost: CostProfile) -> dict[str, ExitTable]:
        return {
            part: table(recording, task, wish.gate, calibrators, cost, None if labels is None else labels[part])
            for part, recording in recordings.items()
        }

    priced, told = tables(price), tables(macs)
    own, goal = replace(priced["choose"], reference=None), allowance(priced["choose"], wish.max_drop)
    path = search.NAMES[wish.searcher]().search(own, goal)
    points = [operating_point(priced["choose"], found, f"p{index:02d}") for index, found in enumerate(path)]
    wanted = (wish.max_drop, wish.delta, guarantees.NAMES[wish.guarantee]())
    certified = certify(points, priced["certify"], *wanted)
    if labels is None and isinstance(task, Stratified):
        strata = task.strata(recordings["certify"].reference)
        further = further_bounds(points, priced["certify"], strata, *wanted)
        certified = tuple(replace(point, also=also) for point, also in zip(certified, further, strict=True))
    worthy = worth_keeping(certified, wish.keep)
    figures = [operating_point(told["choose"], point.configuration, point.name) for point in worthy]
    kept, aliases = named(worthy, wish.max_drop, [point.cost for point in figures])
    chosen = tuple(
        replace(one, name=by.name, bound=by.bound, also=by.also) for one, by in zip(figures, kept, strict=True)
    )
    report = tuple(operating_point(told["report"], point.configuration, point.name) for point in kept)
    plain = float(told["report"].plain.mean())
    return Decided(wish.gate, calibrators, macs, chosen, aliases, report, priced["choose"].risk, plain)


def allowance(choose: ExitTable, max_drop: float) -> Goal:
    """What exits may lose over their own backbone: the goal less what that has lost to the user's model already.

    Where it has gained, they may lose as much more. Where little or nothing is left, exits are searched as for half of
    the goal, for the levels above it that are certified, too.
    """
    lost = float((choose.loss[-1] - choose.plain).mean())
    return Goal(min(max(max_drop - lost, max_drop / 2.0), 1.0))


def table(
    recording: Recording,
    task: Task,
    scorer: Gate,
    calibrators: Sequence[Calibrator],
    cost: CostProfile,
    labels: Labels | None = None,
) -> ExitTable:
    """Scores and losses of a recording: disagreement with the user's model, or error where labels are given."""
    loss, risk = losses(recording, task, calibrators, labels), "disagreement" if labels is None else "error"
    scores = recording.scores(scorer, calibrators)
    reference = None if recording.original is None else loss_of(task, recording.original, recording.original, labels)
    return ExitTable(scores, loss, cost, recording.split, risk, scorer.rule, recording.together, reference)


def losses(
    recording: Recording, task: Task, calibrators: Sequence[Calibrator], labels: Labels | None = None
) -> Float[np.ndarray, "exits samples"]:
    """Disagreement of each exit with the user's model, or its error where labels are given, in [0, 1].

    What is compared is what the runtime answers, since a calibrator may change the class (vector scaling).
    """
    found = np.empty(recording.outputs.shape[:2])
    for exit_ in range(len(found)):
        found[exit_] = loss_of(task, recording.said(exit_, calibrators), recording.reference, labels)
    return found


def loss_of(
    task: Task,
    said: Float[np.ndarray, "samples classes"],
    reference: Float[np.ndarray, "samples classes"],
    labels: Labels | None,
) -> Float[np.ndarray, " samples"]:
    """Where some logits disagree with the reference, or with the labels where they are given, in [0, 1]: how far."""
    wrong = task.disagreement(said[None], reference) if labels is None else task.error(said[None], labels)
    found: np.ndarray = wrong[0].astype(np.float64)
    return found
