"""Accuracy at a budget: one threshold for all exits, chosen on one part and told on another (Kubaty et al. 2025)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from offramp.calibrate.calibrator import Calibrator
from offramp.decide.replay import replay
from offramp.gates.max_prob import MaxProb
from offramp.model.multi_exit import Recording
from offramp.sources import Labels
from offramp.tasks.classification import Classification
from offramp.types import Configuration, CostProfile, ExitTable

THRESHOLDS = 400
"""So many thresholds are tried, at quantiles of the scores, so that there are many where many scores are (near 1)."""


def table(outputs: np.ndarray, labels: Labels, cost: CostProfile, split: str) -> ExitTable:
    """Largest softmax probabilities, uncalibrated as in the paper, and errors, from `(exits, samples, classes)`."""
    none: Sequence[Calibrator] = ()
    score = Recording(outputs, split).scores(MaxProb(), none)
    return ExitTable(score, Classification().error(outputs, labels).astype(np.float64), cost, split, risk="error")


@dataclass(frozen=True, eq=False)
class Curve:
    """What each threshold does to a part of the data, from the lowest threshold, which lets all leave at once.

    Attributes:
        accuracy: share of right answers.
        cost: mean MACs as a share of the plain backbone's, heads included.
    """

    accuracy: np.ndarray
    cost: np.ndarray

    def within(self, budget: float) -> int | None:
        """Position of the last threshold before the mean cost exceeds the budget; None where even the first does."""
        over = np.flatnonzero(self.cost > budget)
        last = (int(over[0]) if over.size else self.cost.size) - 1
        return None if last < 0 else last


def thresholds(score: np.ndarray) -> np.ndarray:
    """Rising; the first lets all leave at the first exit, the last none anywhere but at the last one."""
    inner = score[:-1].ravel()
    found = np.unique(np.quantile(inner, np.linspace(0, 1, THRESHOLDS), method="nearest"))
    return np.append(found, np.inf)


def curve(recorded: ExitTable, tried: np.ndarray) -> Curve:
    """Accuracy and cost at each threshold, all exits on."""
    inner = recorded.exits - 1
    points = [replay(recorded, Configuration((True,) * inner, (float(one),) * inner)) for one in tried]
    return Curve(
        np.array([1.0 - point.loss.mean() for point in points]),
        np.array([point.cost.mean() for point in points]) / recorded.cost.backbone,
    )


def columns(choose: ExitTable, test: ExitTable, budgets: Sequence[float]) -> dict[str, dict[str, list[float] | None]]:
    """Accuracy and cost on the test part at each budget, and without one (`max`, the most accurate threshold).

    `chosen`: the threshold was chosen on the other part. `read off`: on the test part itself, as is usual in papers.
    """
    own = curve(test, thresholds(test.score))
    tried = thresholds(choose.score)
    seen, told = curve(choose, tried), curve(test, tried)
    found: dict[str, dict[str, list[float] | None]] = {}
    for budget in budgets:
        chosen, read = seen.within(budget), own.within(budget)
        found[f"{100 * budget:g}"] = {"chosen": _at(told, chosen), "read off": _at(own, read)}
    best, own_best = int(seen.accuracy.argmax()), int(own.accuracy.argmax())
    found["max"] = {"chosen": _at(told, best), "read off": _at(own, own_best)}
    return found


def _at(found: Curve, place: int | None) -> list[float] | None:
    return None if place is None else [float(found.accuracy[place]), float(found.cost[place])]


def thinned(found: Curve, points: int = 40) -> list[list[float]]:
    """Some points of a curve, for a figure: `[cost, accuracy]`."""
    places = np.unique(np.linspace(0, found.cost.size - 1, points).astype(int))
    return [[float(found.cost[place]), float(found.accuracy[place])] for place in places]


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether all numbers are equal bit for bit."""
    return torch.equal(torch.from_numpy(one), torch.from_numpy(other))
