"""Results of single runs, kept so that an interrupted benchmark goes on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def kept(note: Path, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result in a file, or of the work that makes it."""
    if not note.exists():
        found = work()
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps(found))
    result: dict[str, Any] = json.loads(note.read_text())
    return result
