import numpy as np
import pytest
from benchmarks.faces.verification import FARS, auc, open_set, pairs, tar_at, verified
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from offramp.errors import DataError


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Scores with many ties, and pairs of both kinds."""
    count = draw(st.integers(2, 60))
    score = draw(st.lists(st.integers(-6, 6), min_size=count, max_size=count))
    same = draw(st.lists(st.booleans(), min_size=count - 2, max_size=count - 2))
    return np.array(score) / 7, np.array([True, False, *same])


@given(scored())
def test_auc_is_scikit_learns(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    score, same = drawn
    assert auc(score, same) == pytest.approx(roc_auc_score(same, score))


@given(scored(), st.sampled_from([0.0, 0.01, 0.1, 0.25, 0.5, 1.0]))
def test_tar_is_the_roc_curve_at_that_far(drawn: tuple[np.ndarray, np.ndarray], far: float) -> None:
    score, same = drawn
    fpr, tpr, _ = roc_curve(same, score, drop_intermediate=False)
    assert tar_at(score, same, far) == pytest.approx(tpr[fpr <= far + 1e-9].max())


def test_pairs_are_counted_once_and_compared_by_angle() -> None:
    embedding = np.array([[1.0, 0.0], [5.0, 0.0], [0.0, 2.0], [3.0, 3.0]])
    score, same = pairs(embedding, np.array([0, 0, 1, 1]))
    np.testing.assert_allclose(score, [1, 0, 0.5**0.5, 0, 0.5**0.5, 0.5**0.5])
    assert same.tolist() == [True, False, False, False, False, True]


def test_verification_of_faces_is_scikit_learns() -> None:
    generator = np.random.default_rng(0)
    person = np.repeat(np.arange(8), 6)
    embedding = generator.normal(size=(8, 16))[person] + 1.2 * generator.normal(size=(48, 16))
    found = verified(embedding, person)
    score, same = pairs(embedding, person)
    assert found is not None
    assert found.auc == pytest.approx(roc_auc_score(same, score))
    assert 0.6 < found.auc < 0.99
    assert (found.same, found.different) == (8 * 15, 48 * 47 // 2 - 8 * 15)
    fpr, tpr, _ = roc_curve(same, score, drop_intermediate=False)
    for far in set(FARS) & set(found.tar):
        assert found.tar[far] == pytest.approx(tpr[fpr <= far].max())


def test_no_rate_is_told_that_so_few_pairs_cannot_show() -> None:
    found = verified(np.eye(6), np.repeat(np.arange(3), 2))  # twelve pairs of two persons
    assert found is not None
    assert set(found.tar) == {0.1}


def test_without_pairs_of_both_kinds_there_is_nothing_to_verify() -> None:
    assert verified(np.eye(3), np.arange(3)) is None
    assert verified(np.eye(3), np.zeros(3, np.int64)) is None


def test_who_leaves_has_no_embedding() -> None:
    plain, person = np.random.default_rng(0).normal(size=(8, 4)), np.repeat(np.arange(4), 2)
    exit_index = np.array([2, 2, 0, 2, 2, 1, 2, 2])
    stay = np.flatnonzero(exit_index == 2)
    found = open_set(exit_index, 2, plain[stay], plain, person)
    assert found.left == 0.25
    assert found.difference == 0.0
    assert found.whole == verified(plain, person)
    assert found.reached == verified(plain[stay], person[stay])
    off = plain[stay].copy()
    off[3, 1] += 0.5
    assert open_set(exit_index, 2, off, plain, person).difference == pytest.approx(0.5)
    with pytest.raises(DataError, match="6 faces that reach the end, got 8"):
        open_set(exit_index, 2, plain, plain, person)


def test_where_all_leave_nothing_is_left_to_verify() -> None:
    found = open_set(np.zeros(4, np.int64), 1, np.empty((0, 4)), np.eye(4), np.array([0, 0, 1, 1]))
    assert (found.left, found.reached, found.difference) == (1.0, None, 0.0)
