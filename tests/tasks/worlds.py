"""Simulated exits of which the true risk is known, for tasks whose outputs are no logits of classes."""

from collections.abc import Callable

import numpy as np

from offramp.decide.replay import replay
from offramp.deciding import Wish, decide_by, loss_of, prepared, table
from offramp.model.augment import Augment
from offramp.model.multi_exit import Recording
from offramp.recipe import Recipe
from offramp.tasks.task import Task
from offramp.train.fit import Schedule
from offramp.types import CostProfile, OperatingPoint

COST = CostProfile("macs", np.array([1.0, 2.0, 4.0]), np.array([0.1, 0.1, 0.0]), np.zeros(3))

RECIPE = Recipe(
    heads=("pooled-linear",),
    points=2,
    regime="distil",
    augment=Augment(copies=0),
    schedule=Schedule(),
    gate="max-prob",
    calibrator="temperature",
    searcher="shared",
    source="simulated",
)

DELTA = 0.1

Draw = Callable[[np.random.Generator, int], np.ndarray]
"""Draws outputs `(exits, samples, outputs)`."""


def labels(generator: np.random.Generator, samples: int) -> np.ndarray:
    """Four logits: exits see them through noise that is strong on some samples, and shrinks what they say."""
    reference = generator.normal(size=(samples, 4)) * 3.0
    hard = generator.gamma(1.0, 1.0, samples)[:, None]
    said = [reference + hard * much * generator.normal(size=reference.shape) for much in (2.0, 0.7)]
    exits = [one / (1.0 + hard * much) * 2.0 for one, much in zip(said, (2.0, 0.7), strict=True)]
    return np.stack([*exits, reference]).astype(np.float32)


def values(generator: np.random.Generator, samples: int) -> np.ndarray:
    """Two values: exits are off by errors with heavy tails, and sure beyond reason."""
    reference = generator.normal(size=(samples, 2)) * np.array([1.0, 100.0])
    hard = np.exp(generator.normal(size=(samples, 1)))
    found = []
    for much in (0.2, 0.07):
        spread = hard * much * np.array([1.0, 100.0])
        found.append(np.hstack([reference + spread * generator.standard_t(4, reference.shape), np.log(spread / 3.0)]))
    sure = np.full(reference.shape, -60.0)
    return np.stack([*found, np.hstack([reference, sure])]).astype(np.float32)


def truth(task: Task, outputs: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Labels that the backbone has right for the most part."""
    answers = task.predict(outputs[-1])
    if answers.dtype == bool:
        return np.where(generator.random(answers.shape) < 0.05, ~answers, answers).astype(np.int64)
    noised: np.ndarray = answers + generator.normal(size=answers.shape) * np.array([0.1, 10.0])
    return noised


class Certified:
    """A build's decision on simulated parts, and what it does in truth."""

    def __init__(self, task: Task, draw: Draw, seed: int, max_drop: float, labelled: bool, samples: int) -> None:
        generator = np.random.default_rng(seed)
        parts = {part: Recording(draw(generator, samples), part) for part in ("choose", "certify", "report")}
        known = {part: truth(task, one.outputs, generator) for part, one in parts.items()} if labelled else None
        chosen = RECIPE.under(task)
        target = None if known is None else known["choose"]
        self.calibrators, scorer = prepared(chosen, parts["choose"], task, target, None)
        self.task, self.gate = task, scorer
        wish = Wish(scorer, chosen.searcher, max_drop, DELTA, 16)
        self.decided = decide_by(COST, COST, parts, task, known, self.calibrators, wish)

    def risk(self, point: OperatingPoint, population: np.ndarray, known: np.ndarray | None) -> float:
        """Of a point in truth: mean disagreement, or mean excess of the error over the backbone's where it has none."""
        recording = Recording(population, "population")
        found = table(recording, self.task, self.gate, self.calibrators, COST, known)
        lost = replay(found, point.configuration).loss
        if known is None:
            return float(lost.mean())
        plain = loss_of(self.task, recording.reference, recording.reference, known)
        return float(np.clip(lost - plain, 0.0, 1.0).mean())

    def broken(self, population: np.ndarray, known: np.ndarray | None) -> bool:
        """Whether any certificate is false."""
        bounds = [(point, point.bound) for point in self.decided.points if point.bound is not None]
        return any(self.risk(point, population, known) > bound.epsilon + 1e-12 for point, bound in bounds)
