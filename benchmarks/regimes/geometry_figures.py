from collections.abc import Mapping
from pathlib import Path
from typing import Any


def draw(result: Mapping[str, Any], folder: Path) -> None:
    """."""
