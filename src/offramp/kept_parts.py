"""Parts of a long analysis, each in a file of its own, so that a killed process loses only the part under way."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offramp.errors import InputError
from offramp.whole import write_whole


@dataclass(frozen=True)
class KeptParts:
    """What was found, by what it depends on.

    Attributes:
        folder: where it is kept; None: nowhere.
        asked: what all parts depend on.
    """

    folder: Path | None
    asked: str

    def once(self, kind: str, depends: tuple[object, ...], work: Callable[[], Any]) -> Any:
        """What `work` returns, as JSON has it, or did when it was called before.

        Args:
            kind: of the part; the file's name begins with it.
            depends: all else that decides what comes out.
            work: makes it; lists, dicts with names, numbers and None.

        Raises:
            InputError: if the file cannot be written, or is damaged.
        """
        if self.folder is None:
            return json.loads(json.dumps(work()))
        digest = hashlib.sha256(repr((self.asked, *depends)).encode()).hexdigest()[:24]
        path = self.folder / f"{kind}-{digest}.json"
        if not path.exists():
            write_whole(path, json.dumps(work(), allow_nan=False), "choose another folder")
        try:
            return json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read {path}: {error}; delete it to make it anew") from error
