"""All per-exit thresholds, for a few exits with a few distinct scores."""

from collections.abc import Iterator
from itertools import product

import numpy as np

from offramp.types import Configuration, ExitTable


def configurations(table: ExitTable) -> Iterator[Configuration]:
    """Every configuration that replays differently: each exit off or at one of its own scores."""
    choices = [[None, *np.unique(row).tolist()] for row in table.score[:-1]]
    for chosen in product(*choices):
        yield Configuration(
            enabled=tuple(t is not None for t in chosen),
            threshold=tuple(1.0 if t is None else t for t in chosen),
        )


def dominated(point: tuple[float, float], others: list[tuple[float, float]]) -> bool:
    """Whether another point is no worse in both figures and better in one."""
    return any(o[0] <= point[0] and o[1] <= point[1] and o != point for o in others)
