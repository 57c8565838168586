"""The result of the click-through benchmark as a page of the docs."""

from typing import Any


def page(result: dict[str, Any]) -> str:
    """Markdown."""
    return str(result)
