from pathlib import Path

import pytest

from offramp.errors import InputError
from offramp.kept_parts import KeptParts


def test_work_is_done_once_for_what_it_depends_on(tmp_path: Path) -> None:
    calls: list[int] = []

    def work() -> dict[str, object]:
        calls.append(1)
        return {"a": (1, 2.5, None)}

    kept = KeptParts(tmp_path / "new", "data")
    for _ in range(2):
        assert kept.once("part", (1, "x"), work) == {"a": [1, 2.5, None]}
    assert len(calls) == 1
    kept.once("part", (2, "x"), work)
    kept.once("other", (1, "x"), work)
    KeptParts(tmp_path / "new", "other data").once("part", (1, "x"), work)
    assert len(calls) == 4
    assert not list(tmp_path.rglob("*.part"))


def test_without_a_folder_nothing_is_kept_and_the_result_is_the_same() -> None:
    assert KeptParts(None, "").once("part", (), lambda: {"a": (1, 2)}) == {"a": [1, 2]}


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another folder"):
        KeptParts(tmp_path / "file", "").once("part", (), lambda: 1)
