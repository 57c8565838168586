"""Finished rows of a long comparison, each in a file of its own, so that a killed process loses the row under way."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from offramp.errors import InputError
from offramp.whole import write_whole


class Kept:
    """Rows by recipe and seed, for what was asked.

    Attributes:
        folder: where they are.
        asked: what they depend on besides; rows of anything else are not taken for these.
        details: likewise, by recipe.
    """

    def __init__(self, folder: Path, asked: Mapping[str, Any], details: Mapping[str, str] | None = None) -> None:
        self.asked, self.details = asked, details or {}
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]
        self.folder = folder / digest

    def has(self, recipe: str, seed: int) -> bool:
        """Whether a row is finished."""
        return self._path(recipe, seed).exists()

    def add(self, recipe: str, seed: int, row: Mapping[str, Any]) -> None:
        """Keeps a row.

        Raises:
            InputError: if it cannot be written.
        """
        write_whole(self._path(recipe, seed), json.dumps(row), "choose another --work")

    def row(self, recipe: str, seed: int) -> Mapping[str, Any]:
        """A finished row.

        Raises:
            InputError: if it is damaged.
        """
        path = self._path(recipe, seed)
        try:
            found: Mapping[str, Any] = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read the row {path}: {error}; delete it to make it anew") from error
        return found

    def _path(self, recipe: str, seed: int) -> Path:
        told = hashlib.sha256(self.details.get(recipe, "").encode()).hexdigest()[:8]
        return self.folder / f"{recipe}-{seed}-{told}.json"
