import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, hamming_loss

from offramp.errors import DataError
from offramp.tasks.multilabel import Multilabel

TASK = Multilabel()


def drawn(seed: int, samples: int, labels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits of two exits with many zeros, of the backbone, and labels."""
    generator = np.random.default_rng(seed)
    outputs = generator.integers(-2, 3, (2, samples, labels)).astype(np.float32)
    reference = generator.integers(-2, 3, (samples, labels)).astype(np.float32)
    return outputs, reference, generator.integers(0, 2, (samples, labels))


@given(st.integers(0, 1000), st.integers(1, 6), st.integers(1, 5))
def test_losses_are_those_of_the_definition(seed: int, samples: int, labels: int) -> None:
    outputs, reference, truth = drawn(seed, samples, labels)
    differs, wrong = TASK.disagreement(outputs, reference), TASK.error(outputs, truth)
    for e in range(2):
        for n in range(samples):
            said = [value > 0 for value in outputs[e, n].tolist()]
            other = [value > 0 for value in reference[n].tolist()]
            assert differs[e, n] == pytest.approx(sum(a != b for a, b in zip(said, other, strict=True)) / labels)
            right = [bool(value) for value in truth[n].tolist()]
            assert wrong[e, n] == pytest.approx(sum(a != b for a, b in zip(said, right, strict=True)) / labels)
    assert differs.min() >= 0.0
    assert max(differs.max(), wrong.max()) <= 1.0


@given(st.integers(0, 1000), st.integers(1, 30), st.integers(2, 5))
def test_figures_are_those_of_scikit_learn(seed: int, samples: int, labels: int) -> None:
    outputs, reference, truth = drawn(seed, samples, labels)
    said, other = outputs[0] > 0, reference > 0
    assert TASK.error(outputs, truth)[0].mean() == pytest.approx(hamming_loss(truth, said))
    found = TASK.measures(outputs[0], reference, truth)
    assert found["micro_f1"] == pytest.approx(f1_score(truth, said, average="micro", zero_division=0))
    assert found["macro_f1"] == pytest.approx(f1_score(truth, said, average="macro", zero_division=0))
    assert found["exact"] == pytest.approx(accuracy_score(truth, said))
    assert found["exact_to_model"] == pytest.approx(accuracy_score(other, said))
    assert list(TASK.measures(outputs[0], reference, None)) == ["exact_to_model"]


def test_no_label_is_one_of_several_classes() -> None:
    outputs = np.array([[0.0, 2.0], [-1.0, 100.0]], np.float32)
    assert TASK.predict(outputs).tolist() == [[False, True], [False, True]]
    told = TASK.told(outputs)
    assert told["labels"].tolist() == [[0, 1], [0, 1]]
    assert [value.dtype.name for value in told.values()] == ["int64", "float32"]
    np.testing.assert_allclose(told["probability"], torch.from_numpy(outputs).sigmoid(), rtol=1e-6)
    assert TASK.settled(outputs) is TASK


def test_one_label_may_come_as_a_column_or_alone() -> None:
    assert TASK.checked(np.array([0, 1, 1]), 1).tolist() == [[0], [1], [1]]
    assert TASK.checked(np.array([[0.0], [1.0]]), 1).tolist() == [[0], [1]]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1], r"expected a row of 3 labels, 0 or 1, for each sample, got labels of shape \(2,\)"),
        ([[0, 1], [1, 1]], r"expected a row of 3 labels.*shape \(2, 2\)"),
        ([[0, 1, 2]], "expected labels of 0 or 1 for the task multilabel, got 2"),
        ([[0, 1, -1]], "expected labels of 0 or 1 .* got -1"),
        ([[0.0, 0.5, 1.0]], "expected labels of 0 or 1 .* got 0.5"),
        ([[0.0, float("nan"), 1.0]], "expected labels of 0 or 1 .* got nan"),
    ],
)
def test_other_labels_are_refused(labels: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        TASK.checked(np.array(labels), 3)
