from collections.abc import Mapping
from pathlib import Path
from typing import Any


def page(result: Mapping[str, Any], config: Path) -> str:
    """."""
    return ""
