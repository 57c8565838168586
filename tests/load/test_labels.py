from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offramp.errors import DataError, InputError
from offramp.load.labels import from_csv, from_folders, label_values, same_length


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3, 1, 2], [3, 1, 2]),
        ([1.0, -1.0], [1, -1]),
        (["10", "9"], [10, 9]),
        (["dog", "cat", "dog"], [1, 0, 1]),
        ([True, False], [1, 0]),
        (np.array([[4], [5]], np.uint8), [4, 5]),
    ],
)
def test_label_values(values: Any, expected: list[int]) -> None:
    indices = label_values(values, "x")
    assert indices.dtype == np.int64
    assert indices.tolist() == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, float("nan")], "expected finite labels in x, got NaN or infinity in row 1"),
        ([[1.0, 0.0], [0.0, float("inf")]], "expected finite labels in x, got NaN or infinity in row 1"),
        (np.zeros((2, 3, 4)), r"one label per sample in x, or a row of them, got shape \(2, 3, 4\)"),
        (["a", ""], "a label for each sample in x, got none in row 1"),
        (np.array([None, {}]), "expected numbers or class names"),
    ],
)
def test_other_labels_are_refused(values: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        label_values(values, "x")


@pytest.mark.parametrize(
    ("values", "kind"), [([0.5, 1.0], "float64"), ([[1, 0], [0, 1]], "int64"), (np.ones((2, 3), np.float32), "int64")]
)
def test_labels_of_other_tasks_are_kept_as_they_are(values: Any, kind: str) -> None:
    found = label_values(values, "x")
    assert found.dtype == kind
    np.testing.assert_array_equal(found, np.asarray(values))


def test_folders_count_in_order() -> None:
    assert from_folders(["b/1.png", "a/x/2.png"], ["b", "c", "a"], "x").tolist() == [1, 0]


def test_files_outside_class_folders_are_refused() -> None:
    with pytest.raises(DataError, match=r"'1.png' is in no class folder; .*csv with the columns file,class_index"):
        from_folders(["a/0.png", "1.png"], ["a"], "x")


def test_a_csv_names_paths_or_files(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("file,class_index,other\na/1.png,5,x\n2.png,6,x\nunused.png,7,x\n")
    assert from_csv(tmp_path / "l.csv", ["b/2.png", "a/1.png"]).tolist() == [6, 5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,class_index\n1.png,5\n", "expected columns file,class_index in .*, got name,class_index"),
        ("", "expected columns file,class_index in .*, got "),
        ("file,class_index\n1.png,5\n", "a label for each of 2 images in .*, got 1; add a row for '2.png'"),
    ],
)
def test_an_unfit_csv_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "l.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        from_csv(tmp_path / "l.csv", ["1.png", "2.png"])


def test_a_missing_csv_is_refused() -> None:
    with pytest.raises(InputError, match=r"a csv of labels at 'none.csv', got no such file"):
        from_csv("none.csv", [])


def test_lengths_must_agree() -> None:
    with pytest.raises(DataError, match=r"expected 3 labels in x, one per sample, got 2"):
        same_length(np.zeros(2, np.int64), 3, "x")
