import sys
from pathlib import Path

import pytest

from offramp.errors import InputError, UnknownNameError
from offramp.load.factories import call_factory, is_factory


def write(folder: Path, text: str) -> str:
    (folder / "made.py").write_text(text)
    return str(folder / "made.py")


@pytest.mark.parametrize(
    ("spec", "expected"), [("a/b.py:f", True), ("b.py", False), ("timm:x.py", False), ("a.npz", False)]
)
def test_recognises_the_form(spec: str, expected: bool) -> None:
    assert is_factory(spec) is expected


def test_calls_the_function(tmp_path: Path) -> None:
    assert call_factory(write(tmp_path, "def f():\n    return 42\n") + ":f") == 42


def test_the_file_may_import_its_neighbours_and_hold_dataclasses(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_made.py").write_text("VALUE = 7\n")
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "from neighbour_of_made import VALUE\n"
        "@dataclass\nclass A:\n    value: int\ndef f():\n    return A(VALUE)\n"
    )
    before = list(sys.path)
    assert call_factory(write(tmp_path, text) + ":f").value == 7
    assert sys.path == before


def test_a_missing_file_is_refused() -> None:
    with pytest.raises(InputError, match=r"expected a Python file at 'none.py', got no such file"):
        call_factory("none.py:f")


def test_a_missing_function_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"expected a function of .*made.py among build; got 'f'"):
        call_factory(write(tmp_path, "def build(): ...\nf = 3\n") + ":f")


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"made.py:f' to run, but it raised SyntaxError"):
        call_factory(write(tmp_path, "def f(:\n") + ":f")


def test_a_raising_function_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"made.py:f' to run, but it raised KeyError: 'x'"):
        call_factory(write(tmp_path, "def f():\n    return {}['x']\n") + ":f")
