"""The three risks of one answer: S2 of the claims, consistency >= gap sample by sample, and where `error` lies."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from offramp.decide.replay import excess, gap
from offramp.tasks.classification import Classification
from offramp.types import Configuration, CostProfile, ExitTable


@given(st.integers(1, 4), st.integers(1, 12), st.integers(2, 4), st.integers(0, 2**32 - 1))
def test_consistency_is_never_less_than_the_gap(exits: int, samples: int, classes: int, seed: int) -> None:
    """On the same outputs, scores and thresholds, with labels and without; outputs tie, and so do exits and truth."""
    generator, task = np.random.default_rng(seed), Classification()
    outputs = generator.integers(0, 3, (exits, samples, classes)).astype(np.float64)
    differs = task.disagreement(outputs, outputs[-1]).astype(np.float64)
    wrong = task.error(outputs, generator.integers(0, classes, samples)).astype(np.float64)
    score = generator.random((exits, samples))
    cost = CostProfile("macs", np.arange(1.0, exits + 1), np.zeros(exits), np.zeros(exits))
    enabled = tuple((generator.random(exits - 1) < 0.7).tolist())
    configuration = Configuration(enabled, tuple(generator.random(exits - 1).tolist()))
    labelled = ExitTable(score, wrong, cost, "a", "error")
    consistency = excess(ExitTable(score, differs, cost, "a"), configuration)
    error, difference = excess(labelled, configuration), gap(labelled, configuration)
    assert (consistency >= error).all()
    assert (error >= difference).all()
    assert set(difference.tolist()) <= {-1.0, 0.0, 1.0}


def test_each_of_the_risks_can_be_the_larger_one() -> None:
    """Backbone right, wrong and wrong; the exit says another class each time, and is right the second time."""
    cost = CostProfile("macs", np.array([1.0, 2.0]), np.zeros(2), np.zeros(2))
    score, leave = np.ones((2, 3)), Configuration((True,), (0.5,))
    differs = ExitTable(score, np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]), cost, "a")
    wrong = ExitTable(score, np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]), cost, "a", "error")
    assert excess(differs, leave).tolist() == [1.0, 1.0, 1.0]
    assert excess(wrong, leave).tolist() == [1.0, 0.0, 0.0]
    assert gap(wrong, leave).tolist() == [1.0, -1.0, 0.0]
