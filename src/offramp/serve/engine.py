"""Runs what requests ask: their samples in common batches, each answered as soon as it is resolved. Free of torch."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from offramp.arrays import Bool, Int
from offramp.errors import DataError
from offramp.run.mixed import Heard, Mixed
from offramp.serve.batcher import Batcher, Batching
from offramp.serve.categories import to_blame
from offramp.serve.errors import BadRequestError, ModelFailedError, RefusedError, TooLateError
from offramp.serve.health import Health
from offramp.serve.sample import Answer, Compared, Ran, Sample

LOG = logging.getLogger("offramp.serve")

T = TypeVar("T")


@runtime_checkable
class Watcher(Protocol):
    """Sees what happens; called in the thread of the batches, so it must be quick."""

    def ran(self, batch: Ran) -> None:
        """A batch is done."""
        ...

    def refused(self, sample: Sample) -> None:
        """A sample that had been taken could not be answered."""
        ...


class Engine:
    """The batches of one model.

    Attributes:
        batching: how samples come together.
        health: whether the model works.
    """

    def __init__(
        self,
        mixed: Mixed,
        arranged: Callable[[Mapping[str, np.ndarray]], Any],
        watcher: Watcher,
        batching: Batching | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts its thread.

        Args:
            mixed: runs batches.
            arranged: makes of stacked inputs by name what the executor takes.
            watcher: is told of every batch.
            batching: how samples come together.
            clock: tells the time in seconds.
        """
        self.batching, self.health = batching or Batching(), Health()
        self._mixed, self._arranged, self._watcher, self._clock = mixed, arranged, watcher, clock
        self._batcher = Batcher[Sample](self._run, self.batching, clock)
        self.submit, self.refuse, self.close = self._batcher.submit, self._batcher.refuse, self._batcher.close
        self.takes = self._batcher.takes

    @property
    def open(self) -> bool:
        """Whether it takes samples."""
        return self._batcher.open

    @property
    def waiting(self) -> int:
        """How many samples wait."""
        return self._batcher.waiting

    @property
    def idle(self) -> bool:
        """Whether all that was taken is answered."""
        return self._batcher.idle

    def _run(self, batch: list[Sample]) -> None:
        now = self._clock()
        wanted = [sample for sample in batch if not sample.cancelled]
        for sample in wanted:
            if sample.deadline is not None and sample.deadline <= now:
                self._refuse(sample, TooLateError("the deadline passed in the queue; give the request more time"))
        self._attempt([sample for sample in wanted if sample.answer is None])
        self.health.saw(wanted)

    def _attempt(self, batch: list[Sample]) -> None:
        """Runs them; where that fails, each half again, so that one that the model cannot take harms no other."""
        if not batch:
            return
        began, way = self._clock(), Waiters(batch, self._clock)
        error: Exception | None = None
        try:
            stacked = {name: np.stack([sample.row[name] for sample in batch]) for name in batch[0].row}
            threshold = np.stack([sample.threshold for sample in batch], axis=1)
            last = np.array([sample.last for sample in batch])
            self._mixed.run(self._arranged(stacked), threshold, last, way)
        except Exception as found:
            error = found
        answered = [sample for sample in batch if isinstance(sample.answer, Answer)]
        compared = way.compared if error is None else []
        seconds = self._clock() - began
        _safely(self._watcher.ran, Ran(answered, compared, way.onwards, len(batch), seconds, error is None))
        left = [sample for sample in batch if sample.answer is None and not sample.cancelled]
        if error is None or not left:
            return
        if len(batch) == 1:
            LOG.error("the model failed on a sample", exc_info=error)
            self._refuse(left[0], _told(left[0], error))
            return
        middle = (len(left) + 1) // 2
        self._attempt(left[:middle])
        self._attempt(left[middle:])

    def _refuse(self, sample: Sample, error: RefusedError) -> None:
        sample.tell(error)
        _safely(self._watcher.refused, sample)


def _told(sample: Sample, error: Exception) -> RefusedError:
    """What is told of a sample that the model failed on."""
    if isinstance(error, DataError):
        return BadRequestError(str(error)[:300])
    if to_blame(sample.row, error):
        return BadRequestError("expected ids that the model knows, got one that is in none of its tables")
    return ModelFailedError("the model failed on it")


def _safely(watches: Callable[[T], None], seen: T) -> None:
    """What watches must not disturb what it sees."""
    try:
        watches(seen)
    except Exception:
        LOG.exception("what watches the batches failed")


class Waiters:
    """Those in a batch, who wait for answers."""

    def __init__(self, batch: Sequence[Sample], clock: Callable[[], float]) -> None:
        self.compared: list[Compared] = []
        self.onwards: list[tuple[int, int]] = []
        self._batch, self._clock = batch, clock
        self._hurry = any(sample.deadline is not None for sample in batch)
        self._under_way = len(batch)

    def heard(self, one: Heard) -> Bool[np.ndarray, " some"]:
        """Tells answers; who goes on."""
        staying = np.zeros(len(one.who), bool)
        rows = zip(one.who.tolist(), one.leaving.tolist(), one.forced.tolist(), strict=True)
        for at, (position, leaves, forced) in enumerate(rows):
            staying[at] = self._told(self._batch[position], one, at, leaves, forced)
        self._under_way -= int((~staying).sum())
        self.onwards.append((one.exit_index, self._under_way))
        return staying

    def hurried(self, who: Int[np.ndarray, " some"]) -> Bool[np.ndarray, " some"]:
        """Whose deadline has passed."""
        late = np.zeros(len(who), bool)
        if self._hurry:
            now = self._clock()
            for at, position in enumerate(who.tolist()):
                deadline = self._batch[position].deadline
                late[at] = deadline is not None and deadline <= now
        return late

    def _told(self, sample: Sample, one: Heard, at: int, leaves: bool, forced: bool) -> bool:
        """Whether the sample goes on."""
        backbone = one.exit_index == len(sample.threshold)
        if isinstance(sample.answer, Answer):
            if backbone:
                self.compared.append(Compared(sample, sample.answer, one.said.logits[at].copy()))
            return not backbone
        if sample.cancelled or sample.answer is not None:
            return False
        if not leaves and (not sample.anytime or one.exit_index <= sample.passed):
            return True
        logits = one.said.logits[at].copy()
        if not np.isfinite(logits).all():
            if leaves:
                sample.tell(BadRequestError("the model gives no finite answer to this input"))
            return not leaves
        sample.passed = one.exit_index
        full = {name: np.array(values[at]) for name, values in one.said.full.items()}
        sample.tell(Answer(logits, one.exit_index, float(one.said.score[at]), leaves, forced, full))
        return sample.audited and not backbone if leaves else True
