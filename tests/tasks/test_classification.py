from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from offramp.errors import CaptureError, DataError
from offramp.tasks import NAMES
from offramp.tasks.classification import Classification
from offramp.tasks.task import Task

LOGITS = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "output",
    [
        LOGITS,
        {"logits": LOGITS, "hidden": torch.zeros(2, 9)},
        SimpleNamespace(logits=LOGITS),
        (LOGITS, torch.zeros(2, 9)),
        [LOGITS],
    ],
)
def test_finds_the_logits(output: Any) -> None:
    assert Classification().logits_of(output) is LOGITS


@pytest.mark.parametrize("output", [torch.zeros(2), torch.zeros(2, 3, 4), {"scores": LOGITS}, (), "logits", None])
def test_refuses_outputs_without_logits(output: Any) -> None:
    with pytest.raises(CaptureError, match=r"expected logits of shape \(batch, classes\)"):
        Classification().logits_of(output)


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


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0]])
def test_refuses_labels_that_are_no_class(labels: list[int]) -> None:
    with pytest.raises(DataError, match=r"expected labels in 0\.\.2, got"):
        Classification().error(np.zeros((1, 2, 3), np.float32), np.array(labels))


def test_every_name_is_its_tasks_own() -> None:
    assert all(isinstance(task, Task) and task.name == name for name, task in NAMES.items())
