from pathlib import Path

import pytest

from offramp.errors import InputError
from offramp.whole import write_whole
from tests.cli.world import full_disk


def test_a_file_is_written_with_the_folders_above_it(tmp_path: Path) -> None:
    path = write_whole(tmp_path / "a" / "b.txt", "dög\n")
    assert path.read_text(encoding="utf-8") == "dög\n"
    assert [one.name for one in path.parent.iterdir()] == ["b.txt"]


def test_what_was_there_before_outlives_a_full_disk(tmp_path: Path) -> None:
    path = write_whole(tmp_path / "b.txt", "before")
    with full_disk(100), pytest.raises(InputError, match="free space or choose another folder"):
        write_whole(path, "x" * 100_000, "choose another folder")
    assert path.read_text() == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["b.txt"]


def test_below_a_file_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        write_whole(tmp_path / "file" / "b.txt", "text")
