import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, recall_score, roc_auc_score

from offramp.errors import DataError
from offramp.tasks.detection import Detection

PRESENT = Detection("present", 0)


@given(st.integers(4, 40), st.integers(0, 1000))
def test_figures_are_those_of_scikit_learn(samples: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    outputs = np.stack([np.zeros(samples), np.round(generator.normal(size=samples), 1)], axis=1)
    labels = np.append(generator.integers(0, 2, samples - 2), [0, 1])
    found = PRESENT.measures(outputs, outputs, labels)
    told = outputs[:, 1] > 0
    assert found["misses"] == pytest.approx(1 - recall_score(labels, told))
    assert found["false_alarms"] == pytest.approx(1 - recall_score(1 - labels, ~told))
    assert found["f1"] == pytest.approx(f1_score(labels, told))
    assert found["auc"] == pytest.approx(roc_auc_score(labels, outputs[:, 1]))


def test_without_labels_the_detector_is_believed() -> None:
    said, reference = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 2.0]]), np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    found = PRESENT.measures(said, reference, None)
    assert (found["misses"], found["false_alarms"], found["f1"]) == (0.5, 1.0, 0.5)
    assert {name: rows.tolist() for name, rows in PRESENT.strata(reference).items()} == {
        "misses": [True, True, False],
        "false alarms": [False, False, True],
    }


def test_figures_of_nobody_are_no_numbers() -> None:
    nothing = np.array([[1.0, 0.0], [1.0, 0.0]])
    found = PRESENT.measures(nothing, nothing, None)
    assert all(np.isnan(found[name]) for name in ("misses", "f1", "auc"))
    assert found["false_alarms"] == 0.0


def test_of_several_classes_another_one_is_a_disagreement_and_no_miss() -> None:
    top = Detection()
    said, reference = np.eye(3)[None, [1, 0, 2]], np.eye(3)[[2, 1, 2]]
    assert top.disagreement(said, reference).tolist() == [[1.0, 1.0, 0.0]]
    assert top.error(said, np.array([2, 1, 2])).tolist() == [[1.0, 1.0, 0.0]]
    assert top.measures(said[0], reference, None)["misses"] == pytest.approx(1 / 3)
    assert top.strata(reference) == {}
    told = top.told(np.log(np.array([[0.25, 0.5, 0.25]], np.float32)))
    assert told["label"].tolist() == [1]
    np.testing.assert_allclose(told["probability"], [0.75], rtol=1e-6)


@pytest.mark.parametrize("labels", [[0, 2], [0.0, 0.5], [[0, 1], [1, 0]]])
def test_boxes_and_other_numbers_are_no_labels(labels: list[float]) -> None:
    with pytest.raises(DataError, match="expected"):
        PRESENT.checked(np.array(labels), 2)
