import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss, log_loss

from offramp.uncertainty.scores import brier, negative_log_likelihood
from tests.uncertainty.made import calibrated, early_exits


@pytest.mark.parametrize("classes", [2, 10])
def test_are_those_of_scikit_learn_and_torch(classes: int) -> None:
    probability, target = calibrated(0, 400, classes)
    labels = np.arange(classes)
    said = probability if classes > 2 else probability[:, 1]
    expected = brier_score_loss(target, said, labels=labels, scale_by_half=False)
    assert brier(probability, target) == pytest.approx(expected)
    found = negative_log_likelihood(probability, target)
    assert found == pytest.approx(log_loss(target, probability, labels=labels))
    logs = torch.from_numpy(np.log(probability))
    assert found == pytest.approx(torch.nn.functional.nll_loss(logs, torch.from_numpy(target)).item())


def test_are_least_for_who_says_the_truth() -> None:
    probability, target = calibrated(1, 20_000)
    for power in (0.7, 1.5):
        other = probability**power / (probability**power).sum(axis=1, keepdims=True)
        assert brier(probability, target) < brier(other, target)
        assert negative_log_likelihood(probability, target) < negative_log_likelihood(other, target)


def test_closed_forms() -> None:
    """Of a calibrated predictor the Brier score is 1 - E Σ p², and the likelihood its mean entropy."""
    probability, target = calibrated(2, 200_000)
    assert brier(probability, target) == pytest.approx(1 - (probability**2).sum(axis=1).mean(), abs=0.005)
    entropy = -(probability * np.log(probability)).sum(axis=1).mean()
    assert negative_log_likelihood(probability, target) == pytest.approx(entropy, abs=0.01)
    assert brier(np.array([[0.0, 1.0]]), np.array([0])) == 2.0
    assert negative_log_likelihood(np.array([[0.0, 1.0]]), np.array([0])) == np.inf


def test_as_run_is_the_mean_over_exits_weighted_by_who_leaves() -> None:
    probability, target, exit_index = early_exits(3, 500)
    for score in (brier, negative_log_likelihood):
        parts = [
            (exit_index == e).mean() * score(probability[e][exit_index == e], target[exit_index == e]) for e in range(3)
        ]
        assert score(probability, target, exit_index) == pytest.approx(sum(parts))
