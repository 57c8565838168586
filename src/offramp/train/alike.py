"""Batches of texts of about one length, so that little of a batch is padding."""

from collections.abc import Sequence

import numpy as np

from offramp.arrays import Int

LOOK = 8
"""Batches whose rows are drawn at random together, then sorted by length."""


def alike(
    lengths: Sequence[Int[np.ndarray, "..."]],
    rows: Sequence[Int[np.ndarray, "..."]],
    size: int,
    generator: np.random.Generator,
) -> list[tuple[int, Int[np.ndarray, "..."]]]:
    """Each of the rows once, in batches of one source each and in random order.

    Args:
        lengths: of each row of each source, in tokens.
        rows: of each source that are wanted.
        size: rows in a batch, at most.
        generator: draws the order.
    """
    found = []
    for index, (length, own) in enumerate(zip(lengths, rows, strict=True)):
        drawn = generator.permutation(own)
        for start in range(0, len(drawn), LOOK * size):
            some = drawn[start : start + LOOK * size]
            ordered = some[np.argsort(length[some], kind="stable")]
            found += [(index, part) for part in np.array_split(ordered, -(-len(ordered) // size))]
    return [found[place] for place in generator.permutation(len(found))]
