import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from offramp.errors import DataError, InputError
from offramp.load.combine import concatenated, subset
from offramp.load.sources import open_source

X = torch.arange(30.0).reshape(10, 3)
PARTS = [open_source((X[:4], list(range(4)))), open_source(X[4:5]), open_source(X[5:])]


@given(st.lists(st.integers(0, 9), min_size=1))
def test_joined_parts_are_the_whole(indices: list[int]) -> None:
    assert_close(concatenated(PARTS).inputs(np.array(indices)), X[indices])


@given(st.lists(st.integers(0, 9), min_size=1), st.data())
def test_a_subset_is_its_rows(rows: list[int], data: st.DataObject) -> None:
    chosen = subset(open_source((X, list(range(10)))), np.array(rows))
    indices = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1))
    assert_close(chosen.inputs(np.array(indices)), X[rows][indices])
    assert chosen.labels().tolist() == rows
    assert len(chosen) == len(rows)


def test_names_and_fingerprints() -> None:
    both = concatenated(PARTS)
    assert len(both) == 10
    assert both.name == "tuple + Tensor + Tensor"
    assert both.fingerprint() == concatenated(PARTS).fingerprint() != concatenated(PARTS[::-1]).fingerprint()
    first, other = subset(both, np.array([1, 2])), subset(both, np.array([2, 1]))
    assert first.name == "tuple + Tensor + Tensor (2 of 10)"
    assert first.fingerprint() == subset(both, np.array([1, 2])).fingerprint() != other.fingerprint()


def test_joined_data_has_no_labels() -> None:
    with pytest.raises(DataError, match=r"joined data is used without labels"):
        concatenated(PARTS).labels()


def test_nothing_is_refused() -> None:
    with pytest.raises(DataError, match=r"expected at least one source"):
        concatenated([])
    with pytest.raises(DataError, match=r"expected at least one index into Tensor"):
        subset(PARTS[1], np.array([], np.int64))


@pytest.mark.parametrize("index", [-1, 1])
def test_indices_outside_are_refused(index: int) -> None:
    with pytest.raises(InputError, match=rf"expected indices in \[0, 1\) of Tensor, got {index}"):
        subset(PARTS[1], np.array([0, index]))
