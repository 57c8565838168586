"""The house rules that a machine can check: small files, short functions, no names without an idea."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")])
LONGEST_FILE, LONGEST_FUNCTION = 300, 50
NAMELESS = {"utils", "helpers", "common", "misc", "util"}


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Each function of a file with the length of its body in lines; signature and docstring are left out."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            start = (first.end_lineno or first.lineno) + 1 if documented else first.lineno
            yield node.name, (node.end_lineno or node.lineno) - start + 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_small_and_their_functions_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_FILE
    assert {name: length for name, length in functions(path) if length > LONGEST_FUNCTION} == {}
    assert path.stem not in NAMELESS


def test_the_rule_can_fail(tmp_path: Path) -> None:
    long = tmp_path / "long.py"
    long.write_text('def f():\n    """Doc."""\n' + "    x = 1\n" * 60)
    assert dict(functions(long)) == {"f": 60}


def test_no_test_was_left_empty() -> None:
    silent = []
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                body = [part for part in node.body if not isinstance(part, ast.Expr | ast.Pass)]
                calls = any(isinstance(part, ast.Call) for statement in node.body for part in ast.walk(statement))
                if not body and not calls:
                    silent.append(f"{path.name}::{node.name}")
    assert silent == []


def test_the_reading_path_of_the_core_is_short() -> None:
    """As `docs/design.md` names it."""
    design = (ROOT / "docs" / "design.md").read_text()
    told = design.partition("**Reading path.**")[2].partition("\n\n")[0]
    files = [ROOT / "src" / "offramp" / f"{name}.py" for name in re.findall(r"`([\w/]+)`", told)]
    assert len(files) == 8
    assert sum(len(file.read_text().splitlines()) for file in files) < 1300
