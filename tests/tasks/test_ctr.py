import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from offramp.errors import DataError
from offramp.tasks.ctr import Ctr
from offramp.tasks.task import Graded

TASK = Ctr()


@given(st.integers(2, 40), st.integers(0, 1000))
def test_figures_are_those_of_scikit_learn(samples: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    click = np.round(generator.normal(size=samples), 1)  # rounded: ties
    labels = np.append(generator.integers(0, 2, samples - 2), [0, 1])
    outputs = np.stack([np.zeros(samples), click], axis=1)
    found = TASK.measures(outputs, outputs, labels)
    p = 1.0 / (1.0 + np.exp(-click))
    assert found["auc"] == pytest.approx(roc_auc_score(labels, p))
    assert found["log_loss"] == pytest.approx(log_loss(labels, p))


def test_without_labels_there_are_no_figures_and_with_one_kind_of_label_no_area() -> None:
    outputs = np.zeros((2, 2))
    assert TASK.measures(outputs, outputs, None) == {}
    assert np.isnan(TASK.measures(outputs, outputs, np.array([1, 1]))["auc"])


def test_yes_is_more_than_even() -> None:
    outputs = np.array([[0.0, -0.1], [0.0, 0.0], [0.0, 0.1]])
    assert TASK.predict(outputs).tolist() == [0, 0, 1]
    assert TASK.disagreement(outputs[None], outputs[::-1]).tolist() == [[1.0, 0.0, 1.0]]
    assert TASK.error(outputs[None], np.array([1, 0, 1])).tolist() == [[1.0, 0.0, 0.0]]
    told = TASK.told(outputs.astype(np.float32))
    np.testing.assert_allclose(told["probability"], 1 / (1 + np.exp([0.1, 0.0, -0.1])), rtol=1e-6)
    assert told["label"].tolist() == [0, 0, 1]


@pytest.mark.parametrize("labels", [[-1, 1, 1], [0, 1, 1]])
def test_no_is_written_in_two_ways(labels: list[int]) -> None:
    assert TASK.checked(np.array(labels), 2).tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("labels", "outputs", "message"),
    [
        ([0, 2], 2, r"expected labels in 0\.\.1"),
        ([-1, 0], 2, r"expected labels in 0\.\.1"),
        ([0.0, 0.5], 2, "expected class indices"),
        ([[0, 1], [1, 0]], 2, "one label per sample, got labels of shape .* the task ctr has one answer"),
        ([0, 1], 3, "expected a model with one logit for the task ctr, got 3 classes"),
    ],
)
def test_other_labels_are_refused(labels: list[float], outputs: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        TASK.checked(np.array(labels), outputs)


def test_what_exits_are_calibrated_to_is_the_probability_of_a_click() -> None:
    outputs = np.array([[0.0, -2.0], [0.0, 0.0], [1.0, 4.0]])
    assert isinstance(TASK, Graded)
    np.testing.assert_allclose(TASK.graded(outputs)[:, 1], 1 / (1 + np.exp([2.0, 0.0, -3.0])))
