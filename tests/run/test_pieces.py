"""Stages that are run a few samples at a time."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.errors import DataError
from offramp.run.pieces import Arrays, Layout, Pieces, doubling, even
from offramp.run.routing import StageFile

STAGE = StageFile("a.onnx", ("x", "unread"), ("state1_0",), (0,), ("logits_0",), ("score_0",))


class Twice(Pieces):
    """Doubles, and notes the sizes it was asked for."""

    split = staticmethod(doubling)

    def __init__(self) -> None:
        super().__init__(STAGE, threads=1)
        self.sizes: list[int] = []
        self.asked = 0

    def takes(self) -> Sequence[Layout | None]:
        return [((3, -1), np.dtype(np.float32)), None]

    def gives(self, arrays: Arrays) -> Sequence[Layout]:
        self.asked += 1
        kind = np.dtype(np.float32)
        return [(arrays[0].shape[1:], kind), ((2,), kind), ((), kind)]

    def piece(self, arrays: Arrays, outputs: Arrays) -> None:
        self.sizes.append(len(arrays[0]))
        outputs[0][...] = 2 * arrays[0]
        outputs[1][...] = arrays[0].sum(axis=(1, 2))[:, None]
        outputs[2][...] = arrays[0].max(axis=(1, 2))


@given(st.integers(1, 400), st.integers(0, 5))
def test_pieces_make_up_the_batch(samples: int, power: int) -> None:
    most = 1 << power
    for split in (even, doubling):
        sizes = list(split(samples, most))
        assert sum(sizes) == samples
        assert max(sizes) <= most
        assert min(sizes) >= 1
    assert all(size & (size - 1) == 0 for size in doubling(samples, most))


@pytest.mark.parametrize("samples", [1, 16, 37])
def test_a_batch_in_pieces_is_the_whole_batch(samples: int) -> None:
    stage, x = Twice(), np.random.default_rng(0).normal(size=(samples, 3, 4)).astype(np.float32)
    after, total, most = stage([x, x])
    np.testing.assert_array_equal(after, 2 * x)
    np.testing.assert_array_equal(total[:, 1], x.sum(axis=(1, 2)))
    np.testing.assert_array_equal(most, x.max(axis=(1, 2)))
    assert stage.sizes == list(doubling(samples, 16))


def test_the_next_state_is_written_to_the_same_memory_and_answers_are_not() -> None:
    stage, x = Twice(), np.ones((5, 3, 4), np.float32)
    first, second = stage([x, x]), stage([x[:2], x[:2]])
    assert np.shares_memory(first[0], second[0])
    assert not np.shares_memory(first[1], second[1])
    assert not np.shares_memory(first[2], second[2])
    assert stage.asked == 1


def test_what_a_stage_cannot_take_is_refused() -> None:
    stage, x = Twice(), np.ones((5, 3, 4), np.float32)
    stage.check([x, np.ones(5)])
    with pytest.raises(DataError, match=r"expected x as float32 with samples of 3 x any, got float64 .* 3 x 4"):
        stage.check([x.astype(np.float64), x])
    with pytest.raises(DataError, match="got float32 with samples of 4 x 3"):
        stage.check([x.transpose(0, 2, 1), x])
    with pytest.raises(DataError, match="got float32 with samples of 12"):
        stage.check([x.reshape(5, 12), x])
