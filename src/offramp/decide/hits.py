"""What each exit would do alone at each threshold: who leaves, who is right, and what that does to the whole."""

from dataclasses import dataclass

import numpy as np

from offramp.arrays import Float
from offramp.decide.rule import decisive
from offramp.types import ExitTable

EVENLY, BY_RANK = 81, 40
"""Thresholds spread evenly over the scores, and at their quantiles, where most samples are."""


@dataclass(frozen=True, slots=True, eq=False)
class HitCurve:
    """One exit on all samples, at thresholds in rising order (SelfXit, section 3.3, and its figures 2 and 9 to 17).

    Attributes:
        threshold: what the score is compared with.
        hit_rate: share of all samples whose score is at least the threshold.
        agreement: share of the hits that answer as the user's model does; nan where nothing hits.
        accuracy: share of the hits that answer as the label; nan where nothing hits, None without labels.
        effect: what leaving here takes from the accuracy of the whole: share of all samples that hit and are wrong
            where the user's model is right, less those that are right where it is wrong (eq. 2); None without labels.
        bound: share of all samples that hit and disagree, HR (1 - CA), which is never less than the effect where
            answers are classes (eq. 3); values may agree within their tolerance and yet be right and wrong.
    """

    threshold: Float[np.ndarray, " thresholds"]
    hit_rate: Float[np.ndarray, " thresholds"]
    agreement: Float[np.ndarray, " thresholds"]
    accuracy: Float[np.ndarray, " thresholds"] | None
    effect: Float[np.ndarray, " thresholds"] | None
    bound: Float[np.ndarray, " thresholds"]


def hit_curves(
    table: ExitTable,
    error: Float[np.ndarray, "exits samples"] | None = None,
    plain_error: Float[np.ndarray, " samples"] | None = None,
) -> tuple[HitCurve, ...]:
    """The curve of each exit but the last, each as if it were the only one; scores that decide together have all on.

    Args:
        table: scores, and disagreement as loss.
        error: where an exit's answer is not the label; None without labels.
        plain_error: the same of the user's model; None: of the last exit.

    Example:
        >>> from offramp.testing.searchers import random_table
        >>> curve = hit_curves(random_table(seed=0))[0]
        >>> bool((np.diff(curve.hit_rate) <= 0).all()), float(curve.hit_rate[0])
        (True, 1.0)
    """
    score = decisive(table, np.ones(table.exits - 1, dtype=bool))
    base = None if error is None else (error[-1] if plain_error is None else plain_error)
    return tuple(
        _curve(score[exit_], table.loss[exit_], None if error is None else error[exit_], base)
        for exit_ in range(table.exits - 1)
    )


def _curve(
    score: Float[np.ndarray, " samples"],
    disagrees: Float[np.ndarray, " samples"],
    error: Float[np.ndarray, " samples"] | None,
    base: Float[np.ndarray, " samples"] | None,
) -> HitCurve:
    thresholds = _thresholds(score)
    order = np.argsort(score, kind="stable")
    first = np.searchsorted(score[order], thresholds, side="left")  # the first sample that hits, in rising order
    hits = len(score) - first

    def upwards(values: Float[np.ndarray, " samples"]) -> Float[np.ndarray, " thresholds"]:
        """The sum of the values of those who hit."""
        summed = np.append(np.cumsum(values[order][::-1])[::-1], 0.0)
        found: np.ndarray = summed[first]
        return found

    def among_hits(wrong: Float[np.ndarray, " samples"]) -> Float[np.ndarray, " thresholds"]:
        share: np.ndarray = np.where(hits > 0, 1.0 - upwards(wrong) / np.maximum(hits, 1), np.nan)
        return share

    return HitCurve(
        threshold=thresholds,
        hit_rate=hits / len(score),
        agreement=among_hits(disagrees),
        accuracy=None if error is None else among_hits(error),
        effect=None if error is None or base is None else upwards(error - base) / len(score),
        bound=upwards(disagrees) / len(score),
    )


def _thresholds(score: Float[np.ndarray, " samples"]) -> Float[np.ndarray, " thresholds"]:
    finite = score[np.isfinite(score)]
    if finite.size == 0:
        return np.array([0.0])
    evenly = np.linspace(finite.min(), finite.max(), EVENLY)
    found: np.ndarray = np.unique(np.concatenate([evenly, np.quantile(finite, np.linspace(0, 1, BY_RANK))]))
    return found
