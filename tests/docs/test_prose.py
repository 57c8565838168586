"""Commands and options that the prose names exist."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from offramp.cli.commands import app
from tests.docs import parsing
from tests.docs.blocks import ROOT, pages

FOREIGN = {"--no-deps", "--non-blocking", "--help", "--version"}
"""Options of other programs, and those that every command has."""


def spans(page: Path) -> Iterator[str]:
    """Code within the lines of a page, with fenced blocks left out."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for found in re.findall(r"(?<!`)`([^`]+)`(?!`)", text):
        yield " ".join(found.split())


def options(command: Any) -> set[str]:
    """All options of a command and of those below it."""
    own = {name for one in command.params for name in [*one.opts, *one.secondary_opts]}
    return own.union(*map(options, getattr(command, "commands", {}).values()))


def command_of(words: list[str]) -> Any:
    """The command that the first words name, below `offramp`."""
    found: Any = typer.main.get_command(app)
    for word in words:
        if not hasattr(found, "commands") or word.startswith("-") or word.isupper():
            break
        assert word in found.commands, f"expected a command among {', '.join(found.commands)}, got {word}"
        found = found.commands[word]
    return found


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_are_named_exist(page: Path) -> None:
    for span in spans(page):
        words = re.sub(r"[\[\]…]", " ", span).split()
        if span.startswith("offramp "):
            asked = {word.partition("=")[0] for word in words if word.startswith("--")}
            assert asked - FOREIGN <= options(command_of(words[1:])), span
        elif span.startswith(("python -m benchmarks.", "make ")) and not re.search(r"\b[A-Z]{3,}\b|…", span):
            parsing.check(words)


BENCHMARKS = {
    name for file in (ROOT / "benchmarks").rglob("*.py") for name in re.findall(r'"(--[a-z-]+)"', file.read_text())
}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_options_that_are_named_exist(page: Path) -> None:
    known = options(typer.main.get_command(app)) | BENCHMARKS | FOREIGN
    asked = {span.split()[0].partition("=")[0] for span in spans(page) if span.startswith("--")}
    assert asked <= known
