import numpy as np
import pytest

from offramp.train.alike import LOOK, alike

LENGTHS = [np.arange(100) % 17, np.arange(40) % 5 + 20]
ROWS = [np.arange(0, 100, 2), np.arange(40)]


@pytest.mark.parametrize("size", [1, 7, 64])
def test_each_row_is_in_one_batch_of_its_own_source(size: int) -> None:
    parts = alike(LENGTHS, ROWS, size, np.random.default_rng(0))
    for index, rows in enumerate(ROWS):
        found = np.concatenate([part for source, part in parts if source == index])
        assert sorted(found.tolist()) == rows.tolist()
    assert all(1 <= len(part) <= size for _, part in parts)


def test_the_order_is_another_for_another_seed_and_mixes_sources() -> None:
    one, other = (alike(LENGTHS, ROWS, 4, np.random.default_rng(seed)) for seed in (0, 1))
    assert [part.tolist() for _, part in one] != [part.tolist() for _, part in other]
    sources = [source for source, _ in one]
    assert sources != sorted(sources)


def test_batches_pad_less_than_in_random_order() -> None:
    """Padding counted text by text; random batches as the closed form has it: nearly all are as long as the longest."""
    lengths, size = [np.random.default_rng(0).integers(2, 50, LOOK * 32)], 32
    parts = alike(lengths, [np.arange(LOOK * size)], size, np.random.default_rng(1))
    padded = sum(len(part) * lengths[0][part].max() for _, part in parts)
    assert padded < 1.15 * lengths[0].sum()
    assert len(lengths[0]) * lengths[0].max() > 1.7 * lengths[0].sum()


def test_sources_without_rows_are_passed_over() -> None:
    parts = alike(LENGTHS, [np.zeros(0, np.int64), ROWS[1]], 8, np.random.default_rng(0))
    assert {source for source, _ in parts} == {1}
