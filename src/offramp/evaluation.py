"""What a bundle does on data: agreement, accuracy, cost, exit shares, and measured time against the plain model."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int

from offramp.bundle import Bundle
from offramp.confidence import Said
from offramp.covering import PredictionSets, in_halves, prediction_sets
from offramp.decide.replay import oracle_cost, replay
from offramp.errors import DataError, InputError, NoLabelsError
from offramp.inputs import Inputs, mask_of, shapes
from offramp.load.combine import subset
from offramp.load.trial import check_taken
from offramp.model.cache import Pass
from offramp.model.multi_exit import MultiExit, Recording
from offramp.model.points import at_size
from offramp.progress import Progress, silent
from offramp.reading import reader
from offramp.sources import Labels, Source
from offramp.timed import times
from offramp.types import Bound, OperatingPoint
from offramp.uncertainty.conformal import check_alpha
from offramp.uncertainty.reliability import Reliability, reliability
from offramp.uncertainty.scores import brier, negative_log_likelihood


@dataclass(frozen=True)
class Evaluated:
    """An operating point on data.

    Attributes:
        cost_ratio: mean MACs as a share of the plain backbone's.
        agreement: share of samples answered like the user's model.
        accuracy: share answered like the label; None without labels.
        accuracy_drop: accuracy of the user's model minus this one's, in percentage points; None without labels.
        exit_share: share of samples leaving at each exit, the backbone last.
        time_ratio: measured time as a share of the plain backbone's, by batch size.
        bound: the certificate that the bundle holds; it speaks of the distribution the bundle was certified on.
        ece: expected calibration error of what was answered, in bins of equal mass over all samples; like the next
            three None where the task has no classes of which one is right.
        brier: Brier score of what was answered, in [0, 2].
        nll: negative log likelihood of what was answered, in nats.
        reliability: the bins of `ece`.
        measures: the task's own figures of what was answered, by name.
    """

    name: str
    cost_ratio: float
    agreement: float
    accuracy: float | None
    accuracy_drop: float | None
    exit_share: tuple[float, ...]
    time_ratio: dict[str, float]
    bound: Bound | None
    ece: float | None
    brier: float | None
    nll: float | None
    reliability: Reliability | None
    measures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """All operating points on one set of samples.

    Attributes:
        samples: how many.
        part: `"report"` where the data is the bundle's own and only its report part was used, else `"all"`.
        accuracy: accuracy of the user's model, also where the backbone is a trained copy; None without labels.
        macs: the backbone's MACs per sample.
        oracle_cost: cost ratio if each sample left at the first exit that agrees with the user's model.
        points: the operating points, from the dearest to the cheapest.
        against: what calibration is held against: `"labels"` where they are read, else `"backbone"`, its class.
        exits: confidence and correctness of each exit on all samples, the backbone last; none where the task has no
            classes of which one is right.
        sets: prediction sets; None where they are not asked for.
        measures: the task's own figures of the user's model, by name.
    """

    samples: int
    part: str
    accuracy: float | None
    macs: float
    oracle_cost: float
    points: tuple[Evaluated, ...]
    against: str
    exits: tuple[Reliability, ...]
    sets: PredictionSets | None = None
    measures: dict[str, float] = field(default_factory=dict)


def evaluate(
    bundle: Bundle,
    source: Source,
    *,
    points: Sequence[str] | None = None,
    labels: bool | None = None,
    part: str | None = None,
    batch_sizes: Sequence[int] = (1, 32),
    timing_samples: int = 64,
    conformal: float | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """The bundle on a source.

    Args:
        bundle: attached to its backbone.
        source: the data.
        points: names of operating points; default all.
        labels: True: labels must be there; False: they are not read; None: they are used where they are.
        part: `"report"`, another part, or `"all"`. Default: the report part if this is the data the bundle was built
            from, since its other samples trained or chose something; else all.
        batch_sizes: at which time is measured; none: not at all.
        timing_samples: samples per round and batch size.
        conformal: share of targets that prediction sets may miss; None: no sets. They are calibrated on the certify
            part and tested on the report part; of other data, on two random halves.
        progress: told how far the work is.

    Raises:
        InputError: if the bundle is not attached, or there are no samples for prediction sets that chose nothing.
    """
    if conformal is not None:
        check_alpha(conformal)
    chosen = [bundle.point(name) for name in points] if points is not None else list(bundle.points)
    live = bundle.multi_exit
    if live is None:
        raise InputError("expected a bundle attached to its backbone; call attach(model) first")
    first = source.inputs(np.arange(min(2, len(source))))
    check_taken(live.backbone.model, first, live.backbone.example, source.name)
    live = _at_size(live, first, bundle)
    own = (part is None or conformal is not None) and source.fingerprint() == bundle.manifest.data.fingerprint
    part = part or ("report" if own else "all")
    if conformal is not None and own and part != "report":
        raise InputError(
            f"expected the report part for prediction sets on the data of the build, got {part!r}, whose samples "
            "trained or chose something; leave --part out, or give other data"
        )
    if conformal is not None:
        check_classes(bundle, "prediction sets")
    indices = _indices(bundle, source, part)
    known = _labels(source, labels)
    known = None if known is None else bundle.task.checked(known, live.backbone.classes)

    def said(rows: Int[np.ndarray, " samples"]) -> Said:
        recording = _recorded(bundle, live, subset(source, rows), progress)
        truth = None if known is None else known[rows]
        return Said.of(recording, bundle.task, bundle.gate, bundle.calibrators, live.macs(bundle.gate), truth)

    here = said(indices)
    sets = None
    if conformal is not None:
        words = ("the certify part", "the report part") if part == "report" else ("one half", "the other half")
        pair = (said(_indices(bundle, source, "certify")), here) if part == "report" else in_halves(here)
        sets = prediction_sets(*pair, chosen, conformal, words)
    took = times(bundle, subset(source, indices), chosen, batch_sizes, timing_samples, progress)
    return Evaluation(
        samples=len(indices),
        part=part,
        accuracy=_plain(here),
        macs=live.backbone.macs,
        oracle_cost=oracle_cost(here.table),
        points=tuple(_evaluated(here, point, took.get(point.name, {})) for point in chosen),
        against=here.against,
        exits=() if here.probability is None else tuple(reliability(one, here.target) for one in here.probability),
        sets=sets,
        measures=here.measured(None),
    )


def check_classes(bundle: Bundle, what: str) -> None:
    """Refuses what only tasks have of which one class is right.

    Raises:
        InputError: if the task has no such classes.
    """
    if bundle.task.probabilities(np.zeros((1, bundle.manifest.model.classes))) is None:
        raise InputError(f"expected a task with one right class for {what}, got {bundle.task.name}; leave them out")


def _at_size(live: MultiExit, inputs: Inputs, bundle: Bundle) -> MultiExit:
    """The model as captured with inputs of this size, whose MACs are those of this size.

    Of texts of another length all parts cost more or less alike, so they are charged as the bundle has it.
    """
    backbone = live.backbone
    if shapes(inputs) == shapes(backbone.example) or mask_of(inputs) is not None:
        return live
    names = [exit_.point for exit_ in live.exits]
    return replace(live, backbone=at_size(backbone, inputs, reader(bundle.task), names))


def _indices(bundle: Bundle, source: Source, part: str) -> Int[np.ndarray, " samples"]:
    if part == "all":
        return np.arange(len(source))
    if part not in bundle.splits:
        raise InputError(f"expected a part among all, {', '.join(bundle.splits)}; got {part!r}")
    indices = bundle.splits[part]
    if indices.max() >= len(source):
        raise DataError(
            f"expected the {bundle.manifest.data.samples} samples of the build, got {len(source)}; use --part all"
        )
    return indices


def _labels(source: Source, wanted: bool | None) -> Labels | None:
    if wanted is False:
        return None
    try:
        return source.labels()
    except NoLabelsError:
        if wanted:
            raise
        return None


def _recorded(bundle: Bundle, live: MultiExit, source: Source, progress: Progress) -> Recording:
    fingerprint, original = bundle.manifest.model.fingerprint, live.original
    passes = Pass(live.backbone.model, reader(bundle.task), live.wanted(), fingerprint, original=original)
    with tempfile.TemporaryDirectory(prefix="offramp-") as folder:
        cache = passes.run(source, Path(folder) / "evaluate", split="evaluate", progress=progress)
        return live.record(cache)


def _evaluated(said: Said, point: OperatingPoint, time_ratio: dict[str, float]) -> Evaluated:
    taken = replay(said.table, point.configuration)
    accuracy, base = _accuracy(said, taken.exit_index), _plain(said)
    answered = None if said.probability is None else (said.probability, said.target, taken.exit_index)
    shown = None if answered is None else reliability(*answered)
    return Evaluated(
        name=point.name,
        cost_ratio=float(taken.cost.mean()) / said.table.cost.backbone,
        agreement=1.0 - float(taken.loss.mean()),
        accuracy=accuracy,
        accuracy_drop=None if base is None or accuracy is None else 100 * (base - accuracy),
        exit_share=tuple(np.bincount(taken.exit_index, minlength=said.table.exits) / said.table.samples),
        time_ratio=time_ratio,
        bound=point.bound,
        ece=None if shown is None else shown.error,
        brier=None if answered is None else brier(*answered),
        nll=None if answered is None else negative_log_likelihood(*answered),
        reliability=shown,
        measures=said.measured(taken.exit_index),
    )


def _plain(said: Said) -> float | None:
    """Accuracy of the user's model; None without labels."""
    return None if said.plain_error is None else 1.0 - float(said.plain_error.mean())


def _accuracy(said: Said, exit_index: Int[np.ndarray, " samples"]) -> float | None:
    """Share of samples answered like the label at these exits; None without labels."""
    if said.error is None:
        return None
    return 1.0 - float(said.error[exit_index, np.arange(said.table.samples)].mean())
