import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.errors import DataError
from offramp.tasks.classification import Classification


@given(st.integers(1, 4), st.integers(1, 6), st.integers(2, 4), st.integers(0, 1000))
def test_losses_are_those_of_the_definition(exits: int, samples: int, classes: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    outputs = generator.integers(0, 3, (exits, samples, classes)).astype(np.float32)  # small integers: many ties
    labels = generator.integers(0, classes, samples)

    def answer(row: np.ndarray) -> int:
        values: list[float] = row.tolist()
        return values.index(max(values))

    task = Classification()
    differs = task.disagreement(outputs, outputs[-1])
    wrong = task.error(outputs, labels)
    for e in range(exits):
        for n in range(samples):
            assert differs[e, n] == (answer(outputs[e, n]) != answer(outputs[-1, n]))
            assert wrong[e, n] == (answer(outputs[e, n]) != labels[n])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 3], r"expected labels in 0\.\.2, the classes of the model, got 0\.\.3"),
        ([-1, 0], r"expected labels in 0\.\.2, the classes of the model, got -1\.\.0"),
        ([0.0, 0.5], "expected class indices or class names as labels, got 0.5"),
        ([[0, 1], [1, 0]], "expected one label per sample, got labels of shape .*; for several, build with the task"),
    ],
)
def test_refuses_labels_that_are_no_class(labels: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Classification().checked(np.array(labels), 3)
