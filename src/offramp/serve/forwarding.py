"""Hands samples on from stage to stage, where stages are elsewhere. Free of torch and of what carries the messages."""

import asyncio
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from offramp.arrays import Int
from offramp.decide.rule import Rule
from offramp.run.group import Failed, Group, Told
from offramp.run.mixed import NOT_ASKED
from offramp.serve.batcher import Batching
from offramp.serve.engine import Waiters, Watcher
from offramp.serve.errors import BadRequestError, BusyError, FullError, ModelFailedError, RefusedError
from offramp.serve.health import Health
from offramp.serve.sample import Answer, Ran, Sample

LOG = logging.getLogger("offramp.serve")

PATIENCE = 60.0
"""Seconds in which a stage that lost its process gets another one."""

PAUSE = (0.05, 1.0)
"""Seconds before a group is sent again, at first and at most."""

Step = Callable[[Group], Awaitable["Told | Failed"]]
"""Runs a stage somewhere; raises `LostError` where nobody knows what became of the group."""


class LostError(Exception):
    """The process that had a group is gone; whoever sent it still has it, and may send it again."""


@dataclass(frozen=True, eq=False)
class Track:
    """Stages one behind the other.

    Attributes:
        names: the model's inputs in the order in which the first stage takes them; a name may occur twice.
        steps: the stages.
    """

    names: tuple[str, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True, eq=False)
class Route:
    """The ways of samples.

    Attributes:
        early: the cut that has the exits of all operating points.
        whole: the uncut model, for those who are asked at no exit; None where there is no such operating point.
        rule: how scores decide.
    """

    early: Track
    whole: Track | None
    rule: Rule


class Forwarding:
    """Runs samples by sending them through stages; see `answering.Answering`.

    Everything happens in one event loop. The samples of a request travel together as long as they stay, and stages
    put groups of many requests together. A stage is a function of what it gets, so what was lost is sent again.

    Attributes:
        batching: how many samples travel together at most, and how many may be under way.
        health: whether the model works.
    """

    def __init__(
        self,
        route: Route,
        watcher: Watcher,
        batching: Batching | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing under way; to be used within a running event loop."""
        self.batching, self.health = batching or Batching(), Health()
        self._route, self._watcher, self._clock = route, watcher, clock
        self._loop, self._counting = asyncio.get_running_loop(), threading.Lock()
        self._under_way, self._open = 0, True
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def open(self) -> bool:
        """Whether it takes samples."""
        return self._open

    @property
    def waiting(self) -> int:
        """How many samples are under way."""
        return self._under_way

    @property
    def idle(self) -> bool:
        """Whether all that was taken is answered."""
        return self._under_way == 0

    def takes(self, members: int) -> bool:
        """Whether there is room for so many samples now."""
        return not self._open or self._under_way + members <= self.batching.max_queue

    def submit(self, members: Sequence[Sample]) -> None:
        """Sends all of them, or none.

        Raises:
            BusyError: if too many are under way, or nothing more is taken.
            TooLargeError: if there are always too many.
        """
        most = self.batching.max_queue
        self.batching.check(len(members))
        if not self._open:
            raise BusyError("the server is going down; ask another one")
        with self._counting:
            if self._under_way + len(members) > most:
                raise FullError(f"{most} samples are under way, as many as may be; try again later")
            self._under_way += len(members)
        alike: dict[Hashable, list[Sample]] = defaultdict(list)
        for sample in members:
            alike[sample.kind].append(sample)
        size = self.batching.max_batch_size
        for some in alike.values():
            for first in range(0, len(some), size):
                self._loop.call_soon_threadsafe(self._send, some[first : first + size])

    def refuse(self) -> None:
        """Takes nothing more; what is under way is still answered."""
        self._open = False

    def close(self, timeout: float | None = None) -> bool:
        """The same, and waits; to be called from another thread than that of the loop."""
        self.refuse()
        until = None if timeout is None else time.monotonic() + timeout
        while not self.idle and (until is None or time.monotonic() < until):
            time.sleep(0.01)
        return self.idle

    def _send(self, samples: Sequence[Sample]) -> None:
        task = self._loop.create_task(self._fly(samples))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fly(self, samples: Sequence[Sample]) -> None:
        """Sends samples through the stages; each gets exactly one final answer, unless nobody waits for it."""
        flight = _Flight(samples, self._route, self._clock)
        began = self._clock()
        try:
            await flight.run()
        except Exception as error:
            flight.complete = False
            if not isinstance(error, RefusedError):
                LOG.exception("samples could not be sent on")
                error = RefusedError("the server failed on it")
            flight.refuse(range(len(samples)), error)
        finally:
            with self._counting:
                self._under_way -= len(samples)
            self._note(flight, self._clock() - began)

    def _note(self, flight: "_Flight", seconds: float) -> None:
        answered = [sample for sample in flight.samples if isinstance(sample.answer, Answer)]
        waiters = flight.waiters
        self.health.saw(flight.samples)
        try:
            ran = Ran(answered, waiters.compared, waiters.onwards, len(flight.samples), seconds, flight.complete)
            self._watcher.ran(ran)
            for sample in flight.samples:
                if isinstance(sample.answer, RefusedError):
                    self._watcher.refused(sample)
        except Exception:
            LOG.exception("what watches the batches failed")


class _Flight:
    """Samples that set out together."""

    def __init__(self, samples: Sequence[Sample], route: Route, clock: Callable[[], float]) -> None:
        self.samples, self.complete = samples, True
        self.waiters = Waiters(samples, clock)
        self._route, self._clock = route, clock

    async def run(self) -> None:
        """From the first stage to the last answer."""
        route, samples = self._route, self.samples
        asked = bool((samples[0].threshold < NOT_ASKED).any())
        track = route.early if asked or route.whole is None else route.whole
        stacked = {name: np.stack([sample.row[name] for sample in samples]) for name in set(track.names)}
        limits = [np.inf if sample.deadline is None else sample.deadline for sample in samples]
        group = Group(
            tuple(stacked[name] for name in track.names),
            np.stack([sample.threshold for sample in samples], axis=1),
            np.array([sample.last for sample in samples]),
            np.array(limits, np.float64),
            np.array([sample.anytime for sample in samples]),
            np.array([sample.audited for sample in samples]),
            route.rule.start(len(samples)),
        )
        await self._pass(np.arange(len(samples)), group, track.steps)

    async def _pass(self, where: Int[np.ndarray, " samples"], group: Group, steps: Sequence[Step]) -> None:
        """Sends a group through stages; `where` are its positions in the flight."""
        for place, step in enumerate(steps):
            told = await self._asked(step, group)
            if isinstance(told, Failed):
                return await self._failed(told, where, group, steps[place:])
            for one in told.heard:
                self.waiters.heard(replace(one, who=where[one.who]))
            if told.group is None:
                return None
            where = where[told.rows]
            kept = np.array([at for at, position in enumerate(where.tolist()) if self._goes_on(position)], np.int64)
            if not len(kept):
                return None
            where = where[kept]
            group = told.group if len(kept) == told.group.samples else told.group.rows(kept)
        return None

    def _goes_on(self, position: int) -> bool:
        sample = self.samples[position]
        if sample.answer is None:
            return not sample.cancelled
        return sample.audited and isinstance(sample.answer, Answer)

    async def _asked(self, step: Step, group: Group) -> "Told | Failed":
        """What a stage says, by whichever process.

        Raises:
            BusyError: if there was none for long.
        """
        until, pause = self._clock() + PATIENCE, PAUSE[0]
        while True:
            try:
                return await step(group)
            except LostError as error:
                LOG.warning("a stage was lost with %d samples, which are sent again: %s", group.samples, error)
                if self._clock() > until:
                    raise BusyError("a stage does not answer; try again later") from error
                await asyncio.sleep(pause)
                pause = min(2.0 * pause, PAUSE[1])

    async def _failed(
        self, failed: Failed, where: Int[np.ndarray, " samples"], group: Group, steps: Sequence[Step]
    ) -> None:
        """Tries each half again, so that one sample that the model cannot take harms no other."""
        self.complete = False
        if group.samples == 1:
            LOG.error("the model failed on a sample: %s", failed.message)
            told = BadRequestError(failed.message) if failed.unfit else ModelFailedError("the model failed on it")
            return self.refuse(where.tolist(), told)
        middle = (group.samples + 1) // 2
        for rows in (np.arange(middle), np.arange(middle, group.samples)):
            await self._pass(where[rows], group.rows(rows), steps)
        return None

    def refuse(self, positions: Sequence[int], error: RefusedError) -> None:
        """Says what went wrong to those who have no answer."""
        for position in positions:
            if self.samples[position].answer is None and not self.samples[position].cancelled:
                self.samples[position].tell(error)
