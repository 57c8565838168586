"""Memory that is used again from batch to batch, for each thread its own. Free of torch."""

import contextlib
import math
import threading
from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np

_depth = threading.local()


def depth() -> int:
    """How many batches this thread is in the midst of."""
    return getattr(_depth, "value", 0)


@contextlib.contextmanager
def running() -> Iterator[None]:
    """Within it memory is not shared with the batch, of the same thread, in the midst of which this one was begun."""
    _depth.value = depth() + 1
    try:
        yield
    finally:
        _depth.value -= 1


class Buffers:
    """Arrays by name; each keeps the memory of the largest one that had its name so far.

    New memory for every batch costs a page fault for every 4 KiB, which may be dearer than filling it.
    """

    def __init__(self) -> None:
        self._local = threading.local()

    @property
    def grown(self) -> int:
        """How often this thread's memory was replaced by larger one; what it had before is elsewhere then."""
        return getattr(self._local, "grown", 0)

    def array(self, name: Hashable, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """An array that holds anything; valid until the same thread asks for one of this name again."""
        known: dict[Any, np.ndarray] = self._local.__dict__.setdefault("arrays", {})
        size, key = math.prod(shape), (depth(), name, np.dtype(dtype).str)
        found = known.get(key)
        if found is None or len(found) < size:
            found = known[key] = np.empty(size, dtype)
            self._local.grown = self.grown + 1
        return found[:size].reshape(shape)
