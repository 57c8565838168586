"""The blocks of code of a page, each with what its page says about running it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

EXECUTED = ("python", "sh", "console")
"""Languages whose blocks are run, unless a marker says otherwise."""

READ = ("yaml", "json", "toml")
"""Languages whose blocks are read."""

SHOWN = ("text",)
"""Languages whose blocks are no code: drawings, formulae, listings."""

PRINTED = "printed by the block above"
"""The comment above a block of text that shows what Python said, but for numbers."""

MARKERS = {"parsed only": "parsed", "run by": "elsewhere"}


@dataclass(frozen=True)
class Block:
    """A fenced block.

    `duty` says what is done with it: executed, parsed, elsewhere (by the test that the marker names), read, shown, or
    printed, which is compared with what the block above prints.
    """

    page: Path
    line: int
    language: str
    text: str
    duty: str
    told: str = ""

    @property
    def where(self) -> str:
        """Page and line, for messages."""
        return f"{self.page.relative_to(ROOT) if self.page.is_relative_to(ROOT) else self.page}:{self.line}"


class UntoldError(AssertionError):
    """A block of which nobody says what is done with it."""


def pages() -> list[Path]:
    """All pages whose blocks are checked."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, text: str | None = None) -> list[Block]:
    """The blocks of a page, in order.

    Raises:
        UntoldError: at an indented block, which has no language; at a language that no list here has; at a marker
            without a reason or a language that cannot be parsed.
    """
    return list(_found(page, (page.read_text() if text is None else text).splitlines()))


def _found(page: Path, lines: list[str]) -> Iterator[Block]:
    number, inside_list = 0, False
    while number < len(lines):
        line = lines[number]
        fence = re.match(r"( *)(```+|~~~+)(.*)", line)
        if fence:
            end = next(n for n in range(number + 1, len(lines)) if lines[n].strip() == fence[2])
            body = "\n".join(one.removeprefix(fence[1]) for one in lines[number + 1 : end])
            yield _block(page, number + 1, fence[3].strip(), body, _above(lines, number))
            number = end + 1
            continue
        if line.strip() and not line.startswith("    "):
            inside_list = bool(re.match(r" *([*+-]|\d+\.) |!!!|\?\?\?|===", line)) or (
                inside_list and (line.startswith(" ") or bool(lines[number - 1].strip()))
            )
        elif line.strip() and not inside_list and not lines[number - 1].strip():
            raise UntoldError(f"{page}:{number + 1}: expected a fence with a language, got an indented block")
        number += 1


def _above(lines: list[str], number: int) -> str:
    """The comment above a fence, if there is one."""
    comment = re.fullmatch(r" *<!-- (.*) -->", lines[number - 1]) if number else None
    return comment[1] if comment else ""


def _block(page: Path, line: int, language: str, text: str, comment: str) -> Block:
    marker, _, told = (part.strip() for part in comment.partition(":"))
    kind, _, test = marker.partition(" tests/")
    if kind in MARKERS:
        duty, told = MARKERS[kind], f"tests/{test}" if test else told
        usable = language in EXECUTED and told and (duty != "elsewhere" or (ROOT / told).is_file())
    elif comment == PRINTED:
        duty, usable = "printed", language in SHOWN
    else:
        lists = {"executed": EXECUTED, "read": READ, "shown": SHOWN}
        duty, told = next((name for name, known in lists.items() if language in known), ""), ""
        usable = bool(duty)
    if not usable:
        raise UntoldError(
            f"{page}:{line}: expected a block of {', '.join(EXECUTED + READ + SHOWN)}, with a marker "
            f"`parsed only: WHY` or `run by tests/FILE: WHY` if need be, got {language!r} {comment!r}"
        )
    return Block(page, line, language, text, duty, told)
