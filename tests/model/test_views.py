import numpy as np
import torch

from offramp.model.augment import Augment
from offramp.model.views import Views
from tests.sources import Drawn
from tests.toys import CNN

SOURCE = Drawn.of(CNN, 20, 1)


def rows(views: Views) -> torch.Tensor:
    made = [views.at(start) for start in views.starts]
    assert all(isinstance(some, torch.Tensor) for some in made)
    found = torch.cat(made)  # type: ignore[arg-type]
    assert len(found) == len(views)
    return found


def test_copies_that_are_skipped_are_left_out_and_the_others_are_the_same() -> None:
    whole = Views(SOURCE, Augment(copies=3, mix=0.5), np.ones(20, bool), 4, 8)
    for skip in (1, 2, 3):
        later = Views(SOURCE, whole.augment, whole.lend, 4, 8, skip)
        torch.testing.assert_close(rows(later), rows(whole)[20 * skip :])


def test_the_samples_come_first_and_each_copy_differs() -> None:
    made = rows(Views(SOURCE, Augment(copies=2), np.ones(20, bool), 0, 8)).reshape(3, 20, -1)
    inputs = SOURCE.inputs(np.arange(20))
    assert isinstance(inputs, torch.Tensor)
    torch.testing.assert_close(made[0], inputs.reshape(20, -1))
    assert not torch.allclose(made[0], made[1])
    assert not torch.allclose(made[1], made[2])
