"""A report in files: the page, figures beside it, and a summary; each is written whole or not at all."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from offramp.errors import InputError
from offramp.findings import Findings
from offramp.report.drawings import drawings
from offramp.report.page.page import page
from offramp.report.paths import file_path
from offramp.report.summary import summary
from offramp.whole import write_whole


def written(
    found: Findings,
    out: Path,
    names: Sequence[str] = (),
    title: str | None = None,
    figures: Path | None = None,
    suffixes: Sequence[str] = (".png", ".pdf"),
    markdown: Path | None = None,
) -> Iterator[Path]:
    """Writes the page to `out`, and where they are asked for the figures and the summary; yields each file.

    Raises:
        InputError: if a file cannot be written.
    """
    yield write_whole(file_path(out), page(found, names, title))
    if markdown is not None:
        yield write_whole(file_path(markdown), summary(found))
    if figures is not None:
        for name, drawing in drawings(found).items():
            for suffix in suffixes:
                file = figures / f"{name}{suffix}"
                drawing.draw(file)
                yield file


def class_names(file: Path) -> list[str]:
    """Names of classes, one a line, by their index.

    Raises:
        InputError: if the file cannot be read, or has none.
    """
    try:
        found = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"expected names of classes in {str(file)!r}: {error}; write one a line") from error
    while found and not found[-1]:
        found.pop()
    if not found:
        raise InputError(f"expected names of classes in {str(file)!r}, got none; write one a line")
    return found
