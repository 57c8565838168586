import itertools

import numpy as np
import pytest
from benchmarks.faces.copies import Changes
from benchmarks.faces.orl import Faces
from benchmarks.faces.protocol import COPIES, SUBJECTS, Stream, portions, stream, stream_of

from offramp.split import PARTS, Shares

NONE = dict.fromkeys(PARTS, 0)


def of_each(subject: np.ndarray) -> list[int]:
    counts: list[int] = np.bincount(subject, minlength=SUBJECTS).tolist()
    return counts


def test_three_pictures_of_each_subject_teach_and_the_others_are_the_stream(made_up: Faces) -> None:
    teaching, others = portions(made_up.subject)
    assert sorted([*teaching, *others]) == list(range(200))
    assert of_each(made_up.subject[teaching]) == [3] * 20
    assert of_each(made_up.subject[others]) == [7] * 20


@pytest.mark.parametrize("copies", [NONE, COPIES, {"train": 1, "choose": 4, "certify": 0, "report": 2}])
@pytest.mark.parametrize("seed", [0, 1, 7])
def test_a_build_divides_the_stream_by_picture(made_up: Faces, copies: dict[str, int], seed: int) -> None:
    found = stream_of(made_up, copies, Changes(), seed)
    parts = found.shares.divide(len(found.faces), seed)  # as `offramp.build` does
    pictures = {part: set(found.picture[rows].tolist()) for part, rows in parts.items()}
    for one, other in itertools.combinations(PARTS, 2):
        assert not pictures[one] & pictures[other]
    _, others = portions(made_up.subject)
    assert sorted(itertools.chain(*pictures.values())) == others.tolist()
    assert {part: len(pictures[part]) for part in PARTS} == {"train": 70, "choose": 21, "certify": 28, "report": 21}
    for part, rows in parts.items():
        assert np.bincount(found.picture[rows])[sorted(pictures[part])].tolist() == [1 + copies[part]] * len(
            pictures[part]
        )


def test_each_row_is_what_it_says(made_up: Faces) -> None:
    found = stream_of(made_up, COPIES, Changes(), 0)
    np.testing.assert_array_equal(found.faces.subject, made_up.subject[found.picture])
    for part in ("certify", "report"):
        rows = found.parts()[part]
        np.testing.assert_array_equal(found.faces.pictures[rows], made_up.pictures[found.picture[rows]])
    same = (found.faces.pictures == made_up.pictures[found.picture]).all(axis=(1, 2))
    assert same.sum() == 140


def test_it_is_the_same_again(made_up: Faces) -> None:
    one, other = (stream_of(made_up, COPIES, Changes(), 3) for _ in range(2))
    np.testing.assert_array_equal(one.faces.pictures, other.faces.pictures)
    np.testing.assert_array_equal(one.picture, other.picture)


def test_without_copies_the_shares_are_the_usual_ones(made_up: Faces) -> None:
    found = stream_of(made_up, NONE, Changes(), 0)
    assert found.shares.values() == pytest.approx(Shares().values())


def test_strangers_are_left_out(made_up: Faces) -> None:
    found: Stream = stream_of(made_up, NONE, Changes(), 0, identities=15)
    assert of_each(found.faces.subject) == [7] * 15 + [0] * 5


def test_the_factory_is_divided_by_picture_with_the_shares_that_it_names(
    orl: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.faces.protocol.faces", lambda: orl)
    pictures, subject = stream()
    expected = stream_of(orl, COPIES, Changes(), 0)
    np.testing.assert_array_equal(pictures, expected.faces.pictures)
    np.testing.assert_array_equal(subject, expected.faces.subject)
    assert stream.__doc__ is not None
    told = stream.__doc__.partition("--split ")[2].partition("`")[0]
    parts = Shares.parse(told).divide(len(pictures), 0)
    for part, rows in expected.parts().items():
        np.testing.assert_array_equal(parts[part], rows)
