"""Certificates of other tasks hold as often as they say, in worlds whose true risk is known."""

import numpy as np
import pytest
from scipy.stats import binom

from offramp.tasks.multilabel import Multilabel
from offramp.tasks.regression import Regression
from offramp.tasks.task import Task
from tests.tasks.worlds import DELTA, Certified, Draw, labels, truth, values

WORLDS, SAMPLES, POPULATION = 60, 500, 40_000
CASES: dict[str, tuple[Task, Draw]] = {
    "multilabel": (Multilabel(), labels),
    "regression": (Regression((0.5, 50.0)), values),
}


@pytest.mark.slow  # a minute each
@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_certificates_fail_no_more_often_than_they_say(name: str, labelled: bool) -> None:
    task, draw = CASES[name]
    population = draw(np.random.default_rng(10_000), POPULATION)
    known = truth(task, population, np.random.default_rng(10_001)) if labelled else None
    broken, cheap = 0, 0
    for seed in range(WORLDS):
        found = Certified(task, draw, seed, 0.04, labelled, SAMPLES)
        broken += found.broken(population, known)
        cheap += min(point.cost for point in found.decided.points) < 0.9
    assert broken <= binom.ppf(0.999, WORLDS, DELTA), "a sound certificate passes with probability 0.999"
    assert cheap > WORLDS / 2, "it says something"


@pytest.mark.parametrize("name", CASES)
def test_without_a_certificate_the_risk_would_be_broken(name: str) -> None:
    """The test can fail: points taken as found on the choose part lose more than they seem to."""
    task, draw = CASES[name]
    population = draw(np.random.default_rng(10_000), 10_000)
    over = 0
    for seed in range(6):
        found = Certified(task, draw, seed, 0.04, False, SAMPLES)
        risks = [(found.risk(point, population, None), point.loss) for point in found.decided.points]
        over += any(risk > loss + 1e-12 for risk, loss in risks)
    assert over > 6 * DELTA


def test_losses_that_are_shares_are_bounded_as_such() -> None:
    """Hamming losses of a half each are not taken for errors of one sample in two."""
    found = Certified(Multilabel(), labels, 0, 0.04, False, SAMPLES)
    methods = {point.bound.method for point in found.decided.points if point.bound is not None}
    assert methods
    assert not any("binomial" in method for method in methods), methods
