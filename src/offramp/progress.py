"""How long work tells what it is doing: a function that the caller hands in; silent by default."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with the name of the stage, how much of it is done, and how much there is."""


def silent(stage: str, done: int, total: int) -> None:
    """Shows nothing."""
