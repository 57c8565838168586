"""Split conformal prediction sets (Vovk et al. 2005), with the four calibrations of JEI-DNN (Regol et al. 2024)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from offramp.arrays import Bool, Float, Int
from offramp.errors import InputError
from offramp.uncertainty.as_run import as_run

Score = Callable[[Float[np.ndarray, "samples classes"]], Float[np.ndarray, "samples classes"]]
"""From probabilities to how badly each class would fit; a set holds the classes that fit well enough."""

CALIBRATIONS = ("general", "all", "strict", "gated")
"""One quantile for all; per exit from all samples; per exit from those that left there; `strict` where there are more
than `ENOUGH` of them, else `all`. With `general` coverage holds over all exits together and with `strict` at each exit,
since samples are exchangeable. `all` promises nothing: who leaves at an exit is not like those its quantile was taken
from; nor does `gated` where it falls back on it."""

ENOUGH = 20
"""Samples that have to leave at an exit for a quantile of its own (`gated`)."""


def lac(probability: Float[np.ndarray, "samples classes"]) -> Float[np.ndarray, "samples classes"]:
    """1 - p of each class (LAC; Sadinle et al. 2019): the smallest sets on average, which may be empty.

    Example:
        >>> lac(np.array([[0.75, 0.25]])).tolist()
        [[0.25, 0.75]]
    """
    return 1.0 - probability.astype(np.float64)


@dataclass(frozen=True, slots=True)
class APS:
    """Probability of all classes at least as likely, that class included (Romano et al. 2020): sets that adapt.

    Attributes:
        generator: draws one u in [0, 1) per sample and takes u p of the class itself away, which makes coverage exact
            instead of too large, and sets smaller and random; None: nothing is taken away.

    Example:
        >>> APS()(np.array([[0.25, 0.625, 0.125]])).tolist()
        [[0.875, 0.625, 1.0]]
    """

    generator: np.random.Generator | None = None

    def __call__(self, probability: Float[np.ndarray, "samples classes"]) -> Float[np.ndarray, "samples classes"]:
        """The scores."""
        wide = probability.astype(np.float64)
        order = np.argsort(-wide, axis=1, kind="stable")
        found = np.empty_like(wide)
        np.put_along_axis(found, order, np.take_along_axis(wide, order, axis=1).cumsum(axis=1), axis=1)
        return found if self.generator is None else found - self.generator.random((len(wide), 1)) * wide


def check_alpha(alpha: float) -> None:
    """Refuses what is no share of targets to miss.

    Raises:
        InputError: if alpha is not in (0, 1).
    """
    if not 0 < alpha < 1:
        raise InputError(f"expected alpha as a share in (0, 1), got {alpha}; write 10 % as 0.1")


def quantile(scores: Float[np.ndarray, " samples"], alpha: float) -> float:
    """The ⌈(n + 1)(1 - α)⌉-th smallest of n scores; infinite where n is too small for that.

    Example:
        >>> quantile(np.arange(1.0, 10.0), 0.1), quantile(np.arange(1.0, 9.0), 0.1)
        (9.0, inf)
    """
    check_alpha(alpha)
    rank = int(np.ceil((len(scores) + 1) * (1 - alpha) - 1e-9))  # 30 · 0.9 is a little more than 27
    return float(np.partition(scores, rank - 1)[rank - 1]) if rank <= len(scores) else float("inf")


@dataclass(frozen=True, slots=True)
class Conformal:
    """What makes sets that hold the target with probability 1 - α, for data like those of the calibration.

    Attributes:
        limit: largest score of a class in the set, per exit; one where there are no exits.
        score: from probabilities to scores.
    """

    limit: tuple[float, ...]
    score: Score

    def sets(
        self,
        probability: Float[np.ndarray, "*exits samples classes"],
        exit_index: Int[np.ndarray, " samples"] | None = None,
    ) -> Bool[np.ndarray, "samples classes"]:
        """Which classes are in the set of each sample."""
        nothing = np.zeros(probability.shape[-2], np.int64)
        chosen = as_run(probability, nothing, exit_index)
        limit = np.array(self.limit)[nothing if exit_index is None else exit_index]
        inside: np.ndarray = self.score(chosen) <= limit[:, None]
        return inside


def conformal(
    probability: Float[np.ndarray, "*exits samples classes"],
    target: Int[np.ndarray, " samples"],
    alpha: float,
    exit_index: Int[np.ndarray, " samples"] | None = None,
    *,
    calibration: str = "general",
    score: Score = lac,
) -> Conformal:
    """Calibrates prediction sets on samples that neither trained nor chose anything.

    Args:
        probability: of the calibration samples.
        target: labels, or the backbone's class: then sets hold the backbone's answer.
        alpha: share of targets that may be missed.
        exit_index: as of `as_run`.
        calibration: one of `CALIBRATIONS`; all but `general` need exits.
        score: `lac`, an `APS`, or another.

    Example:
        >>> said = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
        >>> fitted = conformal(said, np.zeros(4, dtype=int), alpha=0.4)
        >>> [round(limit, 3) for limit in fitted.limit], fitted.sets(np.array([[0.65, 0.35]])).tolist()
        ([0.3], [[False, False]])
    """
    if calibration not in CALIBRATIONS or (calibration != "general" and exit_index is None):
        raise InputError(
            f"expected a calibration among {', '.join(CALIBRATIONS)}, and exit_index for all but general, "
            f"got {calibration!r} with{'out' if exit_index is None else ''} exit_index"
        )
    own = _at(score(as_run(probability, target, exit_index)), target)
    if exit_index is None:
        return Conformal((quantile(own, alpha),), score)
    if calibration == "general":
        return Conformal((quantile(own, alpha),) * len(probability), score)
    limits = []
    for exit_, said in enumerate(probability):
        left = exit_index == exit_
        if calibration == "strict" or (calibration == "gated" and left.sum() > ENOUGH):
            limits.append(quantile(own[left], alpha))
        else:
            limits.append(quantile(_at(score(as_run(said, target)), target), alpha))
    return Conformal(tuple(limits), score)


def _at(scores: np.ndarray, target: np.ndarray) -> np.ndarray:
    return np.take_along_axis(scores, target[:, None], axis=1)[:, 0]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How prediction sets did.

    Attributes:
        coverage: share of samples whose set holds the target.
        size: mean number of classes in a set (the inefficiency).
        count: samples that left at each exit; one number where there are no exits.
        exit_coverage: coverage among them; NaN where there are none.
        exit_size: mean size among them; NaN where there are none.
    """

    coverage: float
    size: float
    count: tuple[int, ...]
    exit_coverage: tuple[float, ...]
    exit_size: tuple[float, ...]


def coverage(
    sets: Bool[np.ndarray, "samples classes"],
    target: Int[np.ndarray, " samples"],
    exit_index: Int[np.ndarray, " samples"] | None = None,
    exits: int = 1,
) -> Coverage:
    """Coverage and mean size of sets, over all samples and by exit.

    Args:
        sets: which classes are in the set of each sample.
        target: what should be in it.
        exit_index: where each sample left.
        exits: how many exits there are.

    Example:
        >>> coverage(np.array([[True, False], [True, True]]), np.array([1, 1])).coverage
        0.5
    """
    hit, size = _at(sets, target), sets.sum(axis=1)
    index = np.zeros(len(target), np.int64) if exit_index is None else exit_index
    count = np.bincount(index, minlength=exits)
    with np.errstate(invalid="ignore"):
        by_exit = [np.bincount(index, values, minlength=exits) / count for values in (hit, size)]
    return Coverage(
        float(hit.mean()), float(size.mean()), tuple(count.tolist()), *(tuple(each.tolist()) for each in by_exit)
    )
