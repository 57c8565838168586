"""Command lines of a block of sh or console, and what a console shows below them."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from tests.docs.blocks import Block


@dataclass(frozen=True)
class Command:
    """Words of a command line; `output` is what the page shows below it, None in a block of sh."""

    words: tuple[str, ...]
    output: tuple[str, ...] | None = None


def commands(block: Block) -> list[Command]:
    """The commands of a block, in order. Comments and what follows `>` are not part of them."""
    return list(_console(block.text) if block.language == "console" else _plain(block.text.splitlines()))


def _plain(lines: list[str]) -> Iterator[Command]:
    pending = ""
    for line in lines:
        pending += line
        if pending.endswith("\\"):
            pending = pending[:-1] + " "
            continue
        try:
            words = shlex.split(pending, comments=True)
        except ValueError:  # a quotation goes on in the next line
            pending += "\n"
            continue
        pending = ""
        if words:
            yield Command(tuple(words[: words.index(">")] if ">" in words else words))
    if pending:
        raise ValueError(f"expected commands that end, got {pending!r}")


def _console(text: str) -> Iterator[Command]:
    for part in ("\n" + text).split("\n$ ")[1:]:
        first, *rest = part.split("\n")
        more = next((n for n, line in enumerate(rest) if not line.startswith("> ")), len(rest))
        [command] = _plain([first, *(line[2:] for line in rest[:more])])
        yield Command(command.words, tuple(rest[more:]))
