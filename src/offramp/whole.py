"""Text in files that are there whole, or not at all."""

from pathlib import Path

from offramp.errors import InputError


def write_whole(path: Path, text: str, otherwise: str = "choose another place") -> Path:
    """Writes a file in UTF-8, and the folders above it; what was there before stays until all of it is written.

    Args:
        path: of the file.
        text: what is in it.
        otherwise: what to do besides freeing space, where that fails; for the error.

    Raises:
        InputError: if it cannot be written.
    """
    draft = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        if draft.parent.is_dir():
            draft.unlink(missing_ok=True)
        raise InputError(f"cannot write {path}: {error.strerror or error}; free space or {otherwise}") from error
    return path
