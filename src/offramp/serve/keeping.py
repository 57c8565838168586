"""Keeps what audits drew, for `offramp refit`. Free of torch."""

import logging
import queue
import threading

from offramp.audit_files import Store
from offramp.errors import InputError
from offramp.serve.sample import Row, Sample

LOG = logging.getLogger("offramp.serve")

FILES = 4
"""Files' worth of samples that may wait for the disk."""


class Keeper:
    """Writes samples in a thread of its own, so that nobody waits for the disk; where that is slow, some are lost.

    Attributes:
        lost: samples that could not be kept.
    """

    def __init__(self, store: Store) -> None:
        """Starts the thread.

        Raises:
            InputError: if the folder cannot be written to.
        """
        store.prepare()
        self.lost = 0
        self._store = store
        self._coming: queue.Queue[Row | None] = queue.Queue(FILES * store.each)
        self._thread = threading.Thread(target=self._work, name="offramp-keeper", daemon=True)
        self._thread.start()

    def keep(self, sample: Sample) -> None:
        """A sample that audits drew; its arrays are copied."""
        try:
            self._coming.put_nowait({name: array.copy() for name, array in sample.row.items()})
        except queue.Full:
            self.lost += 1

    def close(self, timeout: float | None = None) -> None:
        """Writes what it has, and ends."""
        self._coming.put(None)
        self._thread.join(timeout)

    def _work(self) -> None:
        waiting: dict[tuple[tuple[int, ...], ...], list[Row]] = {}
        while (row := self._coming.get()) is not None:
            shapes = tuple(array.shape for array in row.values())
            alike = waiting.setdefault(shapes, [])
            alike.append(row)
            if len(alike) >= self._store.each:
                self._write(waiting.pop(shapes))
        for alike in waiting.values():
            self._write(alike)

    def _write(self, rows: list[Row]) -> None:
        try:
            self._store.write(rows)
        except InputError as error:
            if not self.lost:
                LOG.warning("%s", error)
            self.lost += len(rows)
