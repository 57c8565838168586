"""S1 of the claims: what guarantees promise, over random splits of one table; and a mistake that breaks it."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from scipy import stats

from offramp.decide.guarantees import DEFAULT, NAMES
from offramp.decide.guarantees.ltt import LearnThenTest
from offramp.decide.replay import excess, gap, operating_point
from offramp.search.shared import SharedThreshold
from offramp.testing.guarantees import cheapest, world
from offramp.testing.searchers import random_table
from offramp.types import Goal
from tests.reference.guarantees import first_that_failed, last_that_passed

SPLITS, SAMPLES, POOL, EPSILON, DELTA = 200, 1000, 20_000, 0.01, 0.1


@cache
def recorded(*, signed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Losses on a pool, and costs, of the points that a search chose on other samples."""
    path = SharedThreshold(points=60).search(random_table(0, samples=2000), Goal(EPSILON))[1:]
    pool = random_table(99, samples=POOL, risk="error" if signed else "disagreement")
    losses = np.array([(gap if signed else excess)(pool, configuration) for configuration in path])
    return losses, np.array([operating_point(pool, configuration, "").cost for configuration in path])


@cache
def chosen(name: str, *, signed: bool) -> tuple[np.ndarray, np.ndarray, bool]:
    """Risk and cost on the pool of what each split certifies for the goal, and whether that is on average."""
    losses, cost = recorded(signed=signed)
    guarantee, found, average = NAMES[name](), [], False
    for seed in range(SPLITS):
        rows = np.sort(np.random.default_rng(seed).choice(POOL, SAMPLES, replace=False))
        proof = guarantee.prove(losses[:, rows], EPSILON, DELTA)
        last, average = cheapest(proof, EPSILON), proof.delta is None
        found.append((0.0, 1.0) if last is None else (losses[last].mean(), cost[last]))
    risk, paid = np.array(found).T
    return risk, paid, average


@pytest.mark.parametrize(("name", "signed"), [*((name, False) for name in sorted(NAMES)), ("ucb-wsr", True)])
def test_the_promise_is_kept_over_random_splits(name: str, signed: bool) -> None:
    """Of 200 splits; a probability is allowed what one correct guarantee in a thousand exceeds."""
    risk, _, average = chosen(name, signed=signed)
    if average:
        assert risk.mean() <= EPSILON + 3 * risk.std() / SPLITS**0.5
        assert np.mean(risk > EPSILON) > 2 * DELTA  # which is why it must not be told as a probability
    else:
        assert (risk > EPSILON).sum() <= stats.binom.isf(0.001, SPLITS, DELTA)
    assert risk.max() > 0


def test_what_the_promises_cost() -> None:
    """The default is the cheapest that holds with a probability, and the average is cheaper still."""
    cost = {name: chosen(name, signed=False)[1].mean() for name in NAMES}
    assert min(cost, key=lambda name: cost[name]) == "crc"
    assert min(cost.keys() - {"crc"}, key=lambda name: cost[name]) == DEFAULT
    assert cost["ltt-holm"] <= cost["ltt-bonferroni"]


def violations(rule: Callable[[list[float], float], int], worlds: int = 1000, n: int = 100) -> int:
    """In how many worlds a rule keeps a point with a risk above 10 %, on nine thresholds from 0.9 to 0.

    Scores are uniform; who leaves with score s errs with probability (1 - s)^2 / 3.
    """
    broken, thresholds = 0, np.linspace(0.9, 0.0, 9)
    risk = (1.0 - thresholds) ** 3 / 9
    for seed in range(worlds):
        generator = np.random.default_rng(seed)
        score = generator.random(n)
        wrong = generator.random(n) < (1.0 - score) ** 2 / 3
        errors = ((score >= thresholds[:, None]) & wrong).sum(axis=1)
        kept = rule(stats.binom.cdf(errors, n, 0.1).tolist(), DELTA)
        broken += bool((risk[:kept] > 0.1).any())
    return broken


def test_keeping_the_first_that_failed_breaks_the_promise_and_the_last_that_passed_does_not() -> None:
    """At delta = 10 %, in 1,000 worlds: the released rule is wrong in about one of five."""
    right, wrong = violations(last_that_passed), violations(first_that_failed)
    assert right <= DELTA * 1000
    assert 150 < wrong < 280
    assert stats.binomtest(wrong, 1000, DELTA, alternative="greater").pvalue < 1e-6


def test_the_suite_would_catch_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its worlds tell the default guarantee from the same with the mistake in it."""
    monkeypatch.setattr(
        "offramp.decide.guarantees.ltt.fixed_sequence", lambda p, delta: first_that_failed(list(p), delta)
    )
    broken = 0
    for seed in range(600):
        found = world(seed)
        proved = LearnThenTest().prove(found.losses, 0.02, DELTA).epsilon
        broken += any(e is not None and risk > e for e, risk in zip(proved, found.risk, strict=True))
    assert broken > stats.binom.isf(0.001, 600, DELTA)
