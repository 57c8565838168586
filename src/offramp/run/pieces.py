"""A stage on a runtime that runs a few samples at a time and writes where it is told. Free of torch."""

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from offramp.errors import DataError
from offramp.run.buffers import Buffers, depth
from offramp.run.routing import StageFile

Arrays = Sequence[np.ndarray]
Layout = tuple[tuple[int, ...], np.dtype]
"""Shape without batch axis, and type, of an array."""

LARGEST = 16
"""Samples in a piece at most, where there are one or two threads: larger ones are no faster per sample on a processor,
and what they leave behind does not stay in its caches."""


def largest(threads: int) -> int:
    """Samples in a piece at most, for so many threads (0: all cores); a power of two.

    >>> [largest(threads) for threads in (1, 2, 3, 16)]
    [16, 16, 32, 128]
    """
    return LARGEST << max(((threads or os.cpu_count() or 1) - 1).bit_length() - 1, 0)


def even(samples: int, most: int) -> Iterator[int]:
    """Pieces of `most` samples, and what is left.

    >>> list(even(37, 16))
    [16, 16, 5]
    """
    yield from (min(most, samples - start) for start in range(0, samples, most))


def doubling(samples: int, most: int) -> Iterator[int]:
    """Pieces whose sizes are powers of two, so that few sizes occur; the largest first.

    >>> list(doubling(37, 16))
    [16, 16, 4, 1]
    """
    while samples:
        size = min(most, 1 << (samples.bit_length() - 1))
        yield size
        samples -= size


RunPiece = Callable[[Arrays], None]
"""Runs arrays of the shapes that it was made for."""

REMEMBERED = 256
"""Shapes of batches for which everything is kept ready."""


class Pieces(ABC):
    """One stage, ready to run; subclasses say how a runtime runs a piece."""

    split: Callable[[int, int], Iterator[int]]
    """How a batch is split into pieces of at most so many samples."""

    def __init__(self, stage: StageFile, threads: int) -> None:
        self.stage, self._most, self.split = stage, largest(threads), even
        self._buffers, self._local = Buffers(), threading.local()
        self._gives: dict[tuple[tuple[int, ...], ...], Sequence[Layout]] = {}

    @abstractmethod
    def takes(self) -> Sequence[Layout | None]:
        """What the stage's inputs look like, in the order of `stage.inputs`.

        In a shape -1 stands for an open size; None stands for an input that is not read.
        """

    @abstractmethod
    def gives(self, arrays: Arrays) -> Sequence[Layout]:
        """What the stage's outputs look like for such a sample, in the order of `stage.outputs`; asked once."""

    @abstractmethod
    def prepare(self, arrays: Arrays, outputs: Arrays) -> RunPiece:
        """What runs arrays like these into `outputs`; for one thread."""

    def check(self, arrays: Arrays) -> None:
        """Refuses arrays that the stage cannot take.

        Raises:
            DataError: saying what was expected.
        """
        for name, array, layout in zip(self.stage.inputs, arrays, self.takes(), strict=True):
            if layout is None:
                continue
            shape, dtype = layout
            fits = len(shape) == array.ndim - 1 and all(
                wanted in (-1, size) for wanted, size in zip(shape, array.shape[1:], strict=True)
            )
            if not fits or array.dtype != dtype:
                sizes = " x ".join("any" if size < 0 else str(size) for size in shape)
                raise DataError(
                    f"expected {name} as {dtype} with samples of {sizes or 'one number'}, got {array.dtype} "
                    f"with samples of {' x '.join(map(str, array.shape[1:])) or 'one number'}"
                )

    def __call__(self, arrays: Arrays) -> list[np.ndarray]:
        """The outputs, in the order of `stage.outputs`; their memory is used again when the same thread calls again."""
        # runtimes take memory in order only, and such that they could write to
        given = [array if array.flags.carray else np.array(array, order="C") for array in arrays]
        known: dict[Any, _Ready] = self._local.__dict__
        key = (depth(), *(array.shape for array in given))
        ready = known.get(key)
        if ready is None or not ready.holds():
            if ready is not None or len(known) >= REMEMBERED:
                known.clear()  # also where memory has grown: what was ready holds on to what there was before
            ready = known[key] = self._ready(given)
        ready.run(given)
        return ready.outputs

    def _ready(self, arrays: Arrays) -> "_Ready":
        samples = len(arrays[0])
        shapes = tuple(array.shape[1:] for array in arrays)
        if shapes not in self._gives:
            self._gives[shapes] = self.gives([array[:1] for array in arrays])
        layouts = self._gives[shapes]
        outputs = [self._buffers.array(i, (samples, *shape), dtype) for i, (shape, dtype) in enumerate(layouts)]
        parts, start = [], 0
        for size in self.split(samples, self._most):
            part = slice(start, start + size)
            parts.append((part, self.prepare([array[part] for array in arrays], [out[part] for out in outputs])))
            start += size
        return _Ready(outputs, parts, self._buffers)


class _Ready:
    """All that a batch of certain shapes needs."""

    def __init__(self, outputs: list[np.ndarray], parts: list[tuple[slice, RunPiece]], buffers: Buffers) -> None:
        self.outputs, self._parts, self._buffers, self._made = outputs, parts, buffers, buffers.grown

    def holds(self) -> bool:
        """Whether the outputs are still where the buffers are."""
        return self._made == self._buffers.grown

    def run(self, arrays: Arrays) -> None:
        """Runs all pieces."""
        if len(self._parts) == 1:
            self._parts[0][1](arrays)
            return
        for part, piece in self._parts:
            piece([array[part] for array in arrays])
