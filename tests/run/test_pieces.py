"""Stages that are run a few samples at a time."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.errors import DataError
from offramp.run.buffers import running
from offramp.run.pieces import REMEMBERED, Arrays, Layout, Pieces, RunPiece, doubling, even
from offramp.run.routing import StageFile

STAGE = StageFile("a.onnx", ("x", "unread"), ("state1_0",), (0,), ("logits_0",), ("score_0",))


class Twice(Pieces):
    """Doubles, and notes the sizes it was asked for."""

    def __init__(self) -> None:
        super().__init__(STAGE, threads=1)
        self.split = doubling
        self.sizes: list[int] = []
        self.asked = self.prepared = 0

    def takes(self) -> Sequence[Layout | None]:
        return [((3, -1), np.dtype(np.float32)), None]

    def gives(self, arrays: Arrays) -> Sequence[Layout]:
        self.asked += 1
        kind = np.dtype(np.float32)
        return [(arrays[0].shape[1:], kind), ((2,), kind), ((), kind)]

    def prepare(self, arrays: Arrays, outputs: Arrays) -> RunPiece:
        self.prepared += 1

        def piece(given: Arrays) -> None:
            assert [one.shape for one in given] == [one.shape for one in arrays]
            self.sizes.append(len(given[0]))
            outputs[0][...] = 2 * given[0]
            outputs[1][...] = given[0].sum(axis=(1, 2))[:, None]
            outputs[2][...] = given[0].max(axis=(1, 2))

        return piece


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


def test_everything_is_kept_ready_in_the_same_memory() -> None:
    stage, x = Twice(), np.arange(60, dtype=np.float32).reshape(5, 3, 4)
    first = stage([x, x])
    second = stage([x + 1, x])
    assert all(one is other for one, other in zip(first, second, strict=True))
    np.testing.assert_array_equal(second[0], 2 * (x + 1))
    assert (stage.asked, stage.prepared) == (1, 2)  # five are four and one


def test_memory_that_has_grown_is_used_by_smaller_batches_too() -> None:
    stage, x = Twice(), np.random.default_rng(0).normal(size=(40, 3, 4)).astype(np.float32)
    for samples in (2, 40, 2, 7, 40):
        after, *_ = stage([x[:samples], x[:samples]])
        np.testing.assert_array_equal(after, 2 * x[:samples])
    assert np.shares_memory(stage([x[:2], x[:2]])[0], stage([x, x])[0])


def test_a_batch_begun_in_the_midst_of_another_has_its_own_memory() -> None:
    stage, x = Twice(), np.ones((5, 3, 4), np.float32)
    with running():
        outer = stage([x, x])
        with running():
            inner = stage([3 * x, x])
    np.testing.assert_array_equal(outer[0], 2 * x)
    np.testing.assert_array_equal(inner[0], 6 * x)


def test_not_every_shape_there_ever_was_is_kept() -> None:
    stage = Twice()
    for length in range(1, REMEMBERED + 10):
        x = np.ones((1, 3, length), np.float32)
        np.testing.assert_array_equal(stage([x, x])[0], 2 * x)
    assert len(stage._local.__dict__) <= REMEMBERED


def test_what_a_stage_cannot_take_is_refused() -> None:
    stage, x = Twice(), np.ones((5, 3, 4), np.float32)
    stage.check([x, np.ones(5)])
    with pytest.raises(DataError, match=r"expected x as float32 with samples of 3 x any, got float64 .* 3 x 4"):
        stage.check([x.astype(np.float64), x])
    with pytest.raises(DataError, match="got float32 with samples of 4 x 3"):
        stage.check([x.transpose(0, 2, 1), x])
    with pytest.raises(DataError, match="got float32 with samples of 12"):
        stage.check([x.reshape(5, 12), x])
