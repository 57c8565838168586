import numpy as np
import pytest
from benchmarks.faces.copies import Changes, changed, copied
from benchmarks.faces.orl import Faces

STILL = Changes(flip=False, shift=0, degrees=0.0, light=0.0)


def test_copies_are_the_same_again_and_others_with_another_seed(made_up: Faces) -> None:
    some, who = made_up.at(np.arange(3)), np.arange(3)
    once, again, other = (copied(some, who, 4, Changes(), seed).pictures for seed in (0, 0, 1))
    np.testing.assert_array_equal(once, again)
    assert (once != other).any(axis=(1, 2)).all()


def test_a_copy_depends_on_its_own_picture_alone(made_up: Faces) -> None:
    rows = np.array([5, 17, 30])
    together = copied(made_up.at(rows), rows, 3, Changes(), 0)
    alone = copied(made_up.at(rows[1:2]), rows[1:2], 2, Changes(), 0)
    np.testing.assert_array_equal(together.pictures[3:5], alone.pictures)
    np.testing.assert_array_equal(together.subject, np.repeat(made_up.subject[rows], 3))


def test_no_changes_change_nothing(made_up: Faces) -> None:
    picture = made_up.pictures[0]
    np.testing.assert_array_equal(changed(picture, STILL, np.random.default_rng(0)), picture)


def test_about_half_are_mirrored_and_nothing_else_happens(made_up: Faces) -> None:
    picture, changes = made_up.pictures[0], Changes(flip=True, shift=0, degrees=0.0, light=0.0)
    found = copied(made_up.at(np.array([0])), np.array([0]), 100, changes, 0).pictures
    mirrored = (found == picture[:, ::-1]).all(axis=(1, 2))
    assert (mirrored | (found == picture).all(axis=(1, 2))).all()
    assert 30 < mirrored.sum() < 70


@pytest.mark.parametrize("seed", range(5))
def test_a_shift_moves_and_continues_the_edge(made_up: Faces, seed: int) -> None:
    picture, changes = made_up.pictures[0], Changes(flip=False, shift=3, degrees=0.0, light=0.0)
    found = changed(picture, changes, np.random.default_rng(seed))
    down, right = np.meshgrid(np.arange(-3, 4), np.arange(-3, 4), indexing="ij")
    rows, columns = np.arange(112), np.arange(92)
    moved = [
        picture[np.clip(rows - by, 0, 111)][:, np.clip(columns - to, 0, 91)]
        for by, to in zip(down.flat, right.flat, strict=True)
    ]
    assert sum((found == one).all() for one in moved) == 1


def test_light_scales_grey_values() -> None:
    picture = np.full((112, 92), 100, np.uint8)
    some = Faces(picture[None], np.zeros(1, np.int64))
    found = copied(some, np.zeros(1, np.int64), 200, Changes(light=0.25), 0).pictures
    levels = found.reshape(200, -1)
    assert (levels.min(axis=1) == levels.max(axis=1)).all()
    assert levels.min() >= 75
    assert levels.max() <= 125
    assert levels.mean() == pytest.approx(100, abs=3)


def test_a_turn_keeps_the_middle(made_up: Faces) -> None:
    smooth = np.add.outer(np.arange(112), np.arange(92)).astype(np.uint8)
    changes = Changes(flip=False, shift=0, degrees=8.0, light=0.0)
    found = changed(smooth, changes, np.random.default_rng(1)).astype(int)
    assert np.abs(found[54:58, 44:48] - smooth[54:58, 44:48]).max() <= 2
    assert np.abs(found - smooth).max() > 4
