import numpy as np
import pytest
import torch
from torch.nn import functional as F

from offramp.errors import DataError
from offramp.geometry.criterion import criterion
from offramp.tasks import task


def outputs(samples: int, width: int, seed: int = 0) -> np.ndarray:
    found: np.ndarray = np.random.default_rng(seed).normal(size=(samples, width)).astype(np.float32)
    return found


def test_classes_have_cross_entropy_with_labels_or_with_the_models_own_classes() -> None:
    reference, other = outputs(20, 4), torch.from_numpy(outputs(20, 4, 1))
    labels = np.arange(20) % 4
    found = criterion(task("classification"), reference, labels)
    torch.testing.assert_close(found.loss(other, found.targets), F.cross_entropy(other, torch.from_numpy(labels)))
    assert (found.against, found.classes.tolist()) == ("labels", [labels.tolist()])
    own = criterion(task("classification"), reference, None)
    torch.testing.assert_close(
        own.loss(other, own.targets), F.cross_entropy(other, torch.from_numpy(reference).argmax(1))
    )
    assert own.against == "backbone"


@pytest.mark.parametrize("name", ["ctr", "detection:present:0"])
def test_two_classes_are_classes(name: str) -> None:
    reference = np.stack([np.zeros(10), np.linspace(-1, 1, 10)], axis=1).astype(np.float32)
    found = criterion(task(name), reference, None)
    assert found.targets.tolist() == [0] * 5 + [1] * 5
    other = torch.from_numpy(outputs(10, 2))
    torch.testing.assert_close(found.loss(other, found.targets), F.cross_entropy(other, found.targets))


def test_labels_by_themselves_have_a_cross_entropy_each_and_a_column_each() -> None:
    labels = np.random.default_rng(2).integers(0, 2, (20, 3))
    other = torch.from_numpy(outputs(20, 3))
    found = criterion(task("multilabel"), outputs(20, 3, 1), labels)
    expected = (
        F.binary_cross_entropy_with_logits(other, torch.from_numpy(labels).float(), reduction="none").sum(1).mean()
    )
    torch.testing.assert_close(found.loss(other, found.targets), expected)
    assert found.classes.tolist() == labels.T.tolist()
    own = criterion(task("multilabel"), outputs(20, 3, 1), None)
    assert own.targets.equal((torch.from_numpy(outputs(20, 3, 1)) > 0).long())


def test_values_have_standardised_squares_whatever_spread_an_exit_says() -> None:
    """Constant guesses of the mean cost half a unit a value; bins hold equally many."""
    labels = np.random.default_rng(3).normal(size=(200, 2)) * [3.0, 1e4] + [0.0, 5e5]
    reference = np.concatenate([labels, np.full((200, 2), -60.0)], axis=1).astype(np.float32)
    found = criterion(task("regression:1,2"), reference, labels)
    guess = torch.cat(
        [torch.from_numpy(labels.mean(0)).repeat(200, 1), torch.randn(200, 2, dtype=torch.float64)], dim=1
    )
    torch.testing.assert_close(found.loss(guess.float(), found.targets), torch.tensor(1.0), rtol=1e-4, atol=1e-4)
    assert [np.bincount(column).tolist() for column in found.classes] == [[20] * 10] * 2
    own = criterion(task("regression:1,2"), reference, None)
    assert float(own.loss(torch.from_numpy(reference), own.targets)) == pytest.approx(0.0, abs=1e-9)


def test_labels_that_are_no_classes_of_the_model_are_refused() -> None:
    with pytest.raises(DataError, match="expected labels in 0"):
        criterion(task("classification"), outputs(5, 4), np.array([0, 1, 2, 3, 4]))
