"""Memory that is used again from batch to batch, for each thread its own. Free of torch."""

import math
import threading
from collections.abc import Hashable
from typing import Any

import numpy as np


class Buffers:
    """Arrays by name; each keeps the memory of the largest one that had its name so far.

    New memory for every batch costs a page fault for every 4 KiB, which may be dearer than filling it.
    """

    def __init__(self) -> None:
        self._local = threading.local()

    def array(self, name: Hashable, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """An array that holds anything; valid until the same thread asks for one of this name again."""
        known: dict[Any, np.ndarray] = self._local.__dict__
        size, key = math.prod(shape), (name, np.dtype(dtype).str)
        found = known.get(key)
        if found is None or len(found) < size:
            found = known[key] = np.empty(size, dtype)
        return found[:size].reshape(shape)
