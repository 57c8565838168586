"""Answers in a file: each kept once, and what a kill leaves is usable."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.errors import InputError
from offramp.offline.answers import FILE, Answers

SAMPLES, CLASSES = 20, 3
LOGITS = np.arange(SAMPLES * CLASSES, dtype=np.float32).reshape(SAMPLES, CLASSES)


def opened(folder: Path, **about: Any) -> Answers:
    return Answers(folder, {"bundle": "a", **about}, SAMPLES, CLASSES)


def add(answers: Answers, *numbers: int) -> int:
    index = np.array(numbers, np.int64)
    return answers.add(index, LOGITS[index], index % 4, index / 8)


def test_answers_come_back_by_number_each_once(tmp_path: Path) -> None:
    answers = opened(tmp_path / "new")
    assert [add(answers, 7, 3), add(answers, 3, 5), add(answers, 7)] == [2, 3, 3]
    answers.close()
    again = opened(tmp_path / "new")
    again.close()
    found = list(again)
    assert [(number, exit_, score) for number, _, exit_, score in found] == [
        (3, 3, 0.375),
        (5, 1, 0.625),
        (7, 3, 0.875),
    ]
    for number, logits, _, _ in found:
        np.testing.assert_array_equal(logits, LOGITS[number])


@given(numbers=st.lists(st.integers(0, SAMPLES - 1), min_size=1), cut=st.integers(0, 100), data=st.data())
def test_what_was_cut_off_is_answered_again(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], cut: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    answers = opened(folder)
    add(answers, *dict.fromkeys(numbers))
    answers.close()
    path = folder / FILE
    path.write_bytes(path.read_bytes()[: max(0, path.stat().st_size - cut)])
    again = opened(folder)
    assert again.known.sum() == path.stat().st_size // (8 + 4 + 8 + 4 * CLASSES)
    add(again, *range(SAMPLES))
    again.close()
    assert [number for number, *_ in again] == list(range(SAMPLES))


def test_answers_to_something_else_are_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    with pytest.raises(InputError, match="the same bundle, point, got another; finish that one"):
        opened(tmp_path, bundle="b", point="c")
    (tmp_path / "asked.json").write_text("{")
    with pytest.raises(InputError, match="the same bundle, samples, classes"):
        opened(tmp_path)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        opened(tmp_path / "file" / "answers")
