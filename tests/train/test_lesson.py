import numpy as np
import pytest
import torch

from offramp.errors import DataError
from offramp.inputs import leaves
from offramp.testing.models import MLP
from offramp.train.lesson import Lesson, drawing, lesson, mixed_seed
from tests.sources import Drawn


def made(samples: int = 23, held: float = 0.2, size: int = 4) -> Lesson:
    """Samples that are their own number."""
    values = torch.arange(samples, dtype=torch.float32)[:, None]
    labels = np.arange(samples) % 3
    return lesson(Drawn(values), labels, 3, needs_labels=True, held=held, size=size, augment=None, seed=5)


def numbers(taught: Lesson, phase: int, step: int, **share: int) -> list[int]:
    inputs, labels = taught.at(phase, step, **share)
    assert isinstance(inputs, torch.Tensor)
    found = [int(value) for value in inputs[:, 0]]
    assert labels is not None
    assert labels.tolist() == [number % 3 for number in found]
    return found


def test_an_epoch_sees_each_sample_once_and_no_held_one() -> None:
    taught = made()
    assert (len(taught.held), len(taught.training), taught.per_epoch) == (5, 18, 4)
    for epoch in range(3):
        seen = [number for step in range(4) for number in numbers(taught, 0, 4 * epoch + step)]
        assert len(set(seen)) == 16
        assert set(seen) <= set(taught.training.tolist())
    checked = [int(value) for inputs, _ in taught.checks() for value in leaves(inputs)[0][:, 0]]
    assert checked == sorted(set(range(23)) - set(taught.training.tolist()))


def test_the_order_depends_on_phase_and_epoch() -> None:
    taught = made()
    assert numbers(taught, 0, 2) == numbers(made(), 0, 2)
    assert numbers(taught, 0, 2) != numbers(taught, 1, 2)
    assert numbers(taught, 0, 2) != numbers(taught, 0, 6)


def test_processes_share_a_batch() -> None:
    taught = made()
    shares = [numbers(taught, 0, 1, rank=rank, ranks=2) for rank in range(2)]
    assert [len(share) for share in shares] == [2, 2]
    assert sorted(shares[0] + shares[1]) == sorted(numbers(taught, 0, 1))


def test_few_samples_are_one_batch() -> None:
    taught = made(samples=3, held=0.0, size=10)
    assert (taught.size, taught.per_epoch, len(taught.held)) == (3, 1, 0)


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(DataError, match="expected at least 5 training samples, got 2"):
        made(samples=2)


def test_a_source_that_gives_too_few_samples_is_found_out() -> None:
    class Short(Drawn):
        def inputs(self, indices: np.ndarray) -> torch.Tensor:
            return torch.zeros(1, 8)

    taught = lesson(Short.of(MLP, 9), None, 5, needs_labels=False, held=0.0, size=4, augment=None, seed=0)
    with pytest.raises(DataError, match="expected 4 samples of drawn, got 1"):
        taught.at(0, 0)


def test_seeds_differ_where_any_number_does() -> None:
    found = {mixed_seed(a, b, c) for a in range(6) for b in range(6) for c in range(6)}
    assert len(found) == 216
    assert mixed_seed(1, 2, 3) == mixed_seed(1, 2, 3)
    assert all(0 <= seed < 2**63 for seed in found)


def test_drawing_gives_torchs_own_state_back() -> None:
    before, cpu = torch.get_rng_state(), torch.device("cpu")
    with drawing(cpu, 1, 2):
        one = torch.rand(3)
    with drawing(cpu, 1, 2):
        again = torch.rand(3)
    with drawing(cpu, 1, 3):
        other = torch.rand(3)
    torch.testing.assert_close(torch.get_rng_state(), before, rtol=0, atol=0)
    torch.testing.assert_close(one, again, rtol=0, atol=0)
    assert not torch.equal(one, other)
