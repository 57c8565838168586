"""What a bundle does on data: agreement, accuracy, cost, exit shares, and measured time against the plain model."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from offramp.bundle import Bundle
from offramp.confidence import Said
from offramp.covering import PredictionSets, in_halves, prediction_sets
from offramp.decide.p_values import clopper_pearson_interval
from offramp.decide.replay import oracle_cost, replay
from offramp.errors import InputError
from offramp.load.combine import subset
from offramp.looking import Look, check_classes
from offramp.progress import Progress, silent
from offramp.sources import Source
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
        drop_noise: standard error of `accuracy_drop`, in points; None without labels.
        agreement_interval: within which the agreement on all such samples lies with probability 0.95 (Clopper and
            Pearson); None where an answer can differ by a part.
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
    drop_noise: float | None = None
    agreement_interval: tuple[float, float] | None = None


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
        check_classes(bundle, "prediction sets")
    chosen = [bundle.point(name) for name in points] if points is not None else list(bundle.points)
    look = Look.at(bundle, source, labels, progress)
    part = look.part(part)
    if conformal is not None and part != "report" and look.own:
        raise InputError(
            f"expected the report part for prediction sets on the data of the build, got {part!r}, whose samples "
            "trained or chose something; leave --part out, or give other data"
        )
    here = look.said(look.indices(part))
    sets = None if conformal is None else _sets(look, part, here, chosen, conformal)
    took = times(bundle, subset(source, look.indices(part)), chosen, batch_sizes, timing_samples, progress)
    return summed_up(here, chosen, part, look.live.backbone.macs, took, sets)


def summed_up(
    here: Said,
    chosen: Sequence[OperatingPoint],
    part: str,
    macs: float,
    took: Mapping[str, dict[str, float]] | None = None,
    sets: PredictionSets | None = None,
) -> Evaluation:
    """Operating points by what is said of some samples.

    Args:
        here: what all exits say.
        chosen: the operating points.
        part: what the samples are.
        macs: the backbone's MACs per sample.
        took: by operating point and batch size, time as a share of the plain backbone's.
        sets: prediction sets.
    """
    times_of = took or {}
    return Evaluation(
        samples=here.table.samples,
        part=part,
        accuracy=_plain(here),
        macs=macs,
        oracle_cost=oracle_cost(here.table),
        points=tuple(_evaluated(here, point, times_of.get(point.name, {})) for point in chosen),
        against=here.against,
        exits=() if here.probability is None else tuple(reliability(one, here.target) for one in here.probability),
        sets=sets,
        measures=here.measured(None),
    )


def _sets(look: Look, part: str, here: Said, chosen: Sequence[OperatingPoint], alpha: float) -> PredictionSets:
    """Of the build's own data calibrated on the certify part; of other data in halves."""
    if part != "report":
        return prediction_sets(*in_halves(here), chosen, alpha, ("one half", "the other half"))
    calibration = look.said(look.indices("certify"))
    return prediction_sets(calibration, here, chosen, alpha, ("the certify part", "the report part"))


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
        drop_noise=_noise(said, taken.exit_index),
        agreement_interval=_interval(taken.loss),
    )


def _noise(said: Said, exit_index: Int[np.ndarray, " samples"]) -> float | None:
    """Standard error of the points of accuracy lost, sample by sample; None without labels."""
    error, plain = said.error_at(exit_index), said.plain_error
    if error is None or plain is None:
        return None
    return 100 * float((error - plain).std()) / math.sqrt(len(error))


def _interval(loss: Float[np.ndarray, " samples"]) -> tuple[float, float] | None:
    if not np.isin(loss, (0.0, 1.0)).all():
        return None
    low, high = clopper_pearson_interval(int(loss.sum()), len(loss))
    return 1.0 - high, 1.0 - low


def _plain(said: Said) -> float | None:
    """Accuracy of the user's model; None without labels."""
    return None if said.plain_error is None else 1.0 - float(said.plain_error.mean())


def _accuracy(said: Said, exit_index: Int[np.ndarray, " samples"]) -> float | None:
    """Share of samples answered like the label at these exits; None without labels."""
    error = said.error_at(exit_index)
    return None if error is None else 1.0 - float(error.mean())
