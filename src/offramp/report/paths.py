"""Where results may be written; apart from the drawing, so that a wrong name is refused before any work is done."""

from pathlib import Path

from offramp.errors import InputError

SUFFIXES = (".png", ".svg", ".pdf")
"""The kinds of figures."""


def file_path(path: Path) -> Path:
    """The path, if a file may be made there; folders above it may be missing.

    Raises:
        InputError: if it is a folder, or lies below a file.
    """
    if path.is_dir():
        raise InputError(f"expected the name of a file to write, got the folder {str(path)!r}; add a name")
    above = next(parent for parent in path.absolute().parents if parent.exists())
    if not above.is_dir():
        raise InputError(f"expected a folder for {str(path)!r}, but {str(above)!r} is a file; choose another place")
    return path


def figure_suffix(kind: str) -> str:
    """The suffix of a kind of figure, whose dot may be missing.

    >>> figure_suffix("PDF")
    '.pdf'

    Raises:
        InputError: if it is not among `SUFFIXES`.
    """
    suffix = f".{kind.lower().removeprefix('.')}"
    if suffix not in SUFFIXES:
        raise InputError(f"expected a kind of figure among {', '.join(SUFFIXES)}; got {kind!r}")
    return suffix


def figure_path(path: Path) -> Path:
    """The path, if a figure may be made there.

    Raises:
        InputError: if its suffix is not among `SUFFIXES`, or no file may be made there.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"expected a figure as {', '.join(SUFFIXES)}; got {path.name!r}")
    return file_path(path)
