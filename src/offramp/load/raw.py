"""A sample as people know it: the picture, the text, or the numbers."""

from typing import Any

import numpy as np

from offramp.inputs import leaves, rebuild
from offramp.sources import Raw, Source


def raw(source: Source, index: int) -> Any:
    """A picture, a text, or else the numbers that the model takes, in the structure of its inputs without a batch axis.

    Example:
        >>> from offramp.load.sources import open_source
        >>> raw(open_source(np.array([[1.0, 2.0], [3.0, 4.0]])), 1)
        tensor([3., 4.])
    """
    if isinstance(source, Raw):
        return source.raw(index)
    inputs = source.inputs(np.array([index]))
    return rebuild(inputs, [tensor[0] for tensor in leaves(inputs)])
