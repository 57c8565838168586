"""One model behind the server: its active operating point, and requests made into samples. Free of any framework."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random

import numpy as np

from offramp.decide.rule import rule
from offramp.errors import InputError, UnknownNameError
from offramp.run.loop import stops_of
from offramp.run.mixed import NOT_ASKED, Mixed, column
from offramp.serve.answering import Answering
from offramp.serve.batcher import Batching
from offramp.serve.categories import refuse_unknown
from offramp.serve.deployment import Deployment
from offramp.serve.engine import Engine, Watcher
from offramp.serve.errors import BadRequestError, NotFoundError, RefusedError
from offramp.serve.sample import Answer, Row, Sample
from offramp.serve.tensors import cast

Listener = Callable[[int, "Answer | RefusedError"], None]
"""Called with the number of a sample in its request, and its answer or what went wrong."""

TRIAL = 3600.0
"""Seconds that a trial of a model that seems broken may take."""


@dataclass(frozen=True)
class Active:
    """The operating point that requests without a wish get; never changed, only replaced.

    Attributes:
        name: of the point.
        generation: how often it was switched, the model's versions included.
        version: of the model.
    """

    name: str
    generation: int
    version: str = "1"


@dataclass(frozen=True)
class Wish:
    """What a request may ask for.

    Attributes:
        point: an operating point; None: the active one.
        max_exit: number of the exit at which samples leave at the latest; None: none.
        deadline: seconds after which they leave at the next exit; None: none.
        anytime: whether answers of exits that are passed are told, too.
    """

    point: str | None = None
    max_exit: int | None = None
    deadline: float | None = None
    anytime: bool = False


@dataclass(frozen=True, eq=False)
class Asked:
    """A request under way.

    Attributes:
        samples: in the order of the request.
        active: with which operating point, and which generation of the server's.
    """

    samples: Sequence[Sample]
    active: Active

    def cancel(self) -> None:
        """Nobody waits any more; what has not begun is not run, what has goes no further than the next exit."""
        for sample in self.samples:
            sample.cancelled = True


class Endpoint:
    """A model that can be asked from several threads.

    Attributes:
        deployment: the model.
        engine: runs its samples.
    """

    def __init__(
        self,
        deployment: Deployment,
        watcher: Watcher,
        batching: Batching | None = None,
        audit_share: float = 0.0,
        seed: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        generation: int = 0,
        engine: Answering | None = None,
    ) -> None:
        """Makes the executor and starts the thread of the batches, unless something else runs them.

        Args:
            deployment: the model.
            watcher: is told of every batch.
            batching: how samples come together.
            audit_share: probability that a sample which leaves early is run to the end all the same.
            seed: of that choice; None: another one each time.
            clock: tells the time in seconds.
            generation: of the first active point.
            engine: runs the samples; None: this process does.

        Raises:
            InputError: if the share is none.
        """
        if not 0.0 <= audit_share <= 1.0:
            raise InputError(f"expected a share of audits between 0 and 1, got {audit_share}")
        self.deployment, self._clock = deployment, clock
        self._audit_share, self._random = audit_share, Random(seed)
        self.engine: Answering = engine or _engine(deployment, watcher, batching, clock)
        self._columns = {
            name: column(point.configuration.enabled, point.configuration.threshold)
            for name, point in deployment.points.items()
        }
        self._active = Active(deployment.point(deployment.active)[0], generation, deployment.version)
        self._cap: float | None = None
        self._switching, self._tried = threading.Lock(), threading.Lock()

    @property
    def open(self) -> bool:
        """Whether it takes requests."""
        return self.engine.open

    @property
    def ready(self) -> bool:
        """Whether it takes requests and the model works."""
        return self.engine.open and self.engine.health.good

    @property
    def active(self) -> Active:
        """The point that the next request will get, unless it asks for another."""
        return self._active

    def switch(self, name: str, generation: int | None = None) -> Active:
        """Makes a point the active one; requests that are under way keep theirs.

        Args:
            name: of the point.
            generation: that it has from now on, where several servers count together; None: the next one.

        Raises:
            NotFoundError: listing the points.
        """
        own = self._named(name)
        with self._switching:
            following = self._active.generation + 1 if generation is None else generation
            self._active = replace(self._active, name=own, generation=following)
            return self._active

    def renew(self, generation: int) -> None:
        """Begins again with that generation, where other versions of the model answered meanwhile."""
        with self._switching:
            self._active = replace(self._active, generation=generation)

    def cap(self, share: float | None) -> None:
        """From now on no sample costs more than that share of the backbone, whatever its scores; None: as it likes.

        A sample leaves at the last exit that is on, costs no more than that, and no less than the first one.
        """
        self._cap = share

    def ask(self, inputs: Mapping[str, np.ndarray], wish: Wish, listener: Listener) -> Asked:
        """Puts the samples of a request into the queue.

        Args:
            inputs: tensors by name, the batch first.
            wish: what is asked for.
            listener: hears every answer, in the thread of the batches.

        Raises:
            BadRequestError: if the inputs do not fit the model.
            NotFoundError: if there is no such operating point.
            TooLargeError: if there are more samples than may ever wait.
            FullError: if the queue is full.
            BusyError: if it takes nothing any more.
        """
        active = self._active
        if wish.point is not None:
            active = replace(active, name=self._named(wish.point))
        rows, last = self._rows(inputs), self._last(active.name, wish.max_exit)
        now, thresholds = self._clock(), self._columns[active.name]
        deadline = None if wish.deadline is None else now + wish.deadline
        samples = [
            Sample(
                row,
                thresholds,
                last,
                partial(listener, number),
                point=active.name,
                deadline=deadline,
                anytime=wish.anytime,
                audited=self._audit_share > 0.0 and self._random.random() < self._audit_share,
                since=now,
            )
            for number, row in enumerate(rows)
        ]
        self.engine.submit(samples)
        return Asked(samples, active)

    def try_again(self) -> None:
        """Runs a sample that was answered before, to find out whether the model works again; one at a time.

        It has a deadline, so that it is no evidence of anything else.
        """
        row = self.engine.health.row
        if row is None or not self._tried.acquire(blocking=False):
            return

        def heard(_number: int, _answer: Answer | RefusedError) -> None:
            self._tried.release()

        try:
            self.ask({name: one[None] for name, one in row.items()}, Wish(deadline=TRIAL), heard)
        except RefusedError:
            self._tried.release()

    def _named(self, name: str) -> str:
        try:
            return self.deployment.point(name)[0]
        except UnknownNameError as error:
            raise NotFoundError(str(error)) from error

    def _last(self, name: str, max_exit: int | None) -> int:
        """The last enabled exit up to the one that is asked for, and within the cap."""
        thresholds = self._columns[name]
        backbone, cap = len(thresholds), self._cap
        if cap is None and (max_exit is None or max_exit >= backbone):
            return backbone
        usable = [exit_ for exit_ in range(backbone) if thresholds[exit_] < NOT_ASKED]
        leaving = self.deployment.points[name].leaving
        if cap is not None and usable and leaving is not None and leaving[backbone] > cap:
            capped = max([exit_ for exit_ in usable if leaving[exit_] <= cap], default=usable[0])
            max_exit = capped if max_exit is None else min(max_exit, capped)
        if max_exit is None or max_exit >= backbone:
            return backbone
        allowed = [exit_ for exit_ in usable if exit_ <= max_exit]
        if not allowed:
            least = usable[0] if usable else backbone
            raise BadRequestError(
                f"expected max_exit of at least {least} at the operating point {name}, got {max_exit}"
            )
        return allowed[-1]

    def _rows(self, inputs: Mapping[str, np.ndarray]) -> list[Row]:
        """One mapping per sample, in the model's own types."""
        specs = self.deployment.inputs
        if set(inputs) != {spec.name for spec in specs}:
            named = ", ".join(map(repr, inputs))[:100]
            raise BadRequestError(f"expected the inputs {', '.join(spec.name for spec in specs)}, got {named}")
        sizes = {len(tensor) if tensor.ndim else 0 for tensor in inputs.values()}
        if len(sizes) != 1 or 0 in sizes:
            raise BadRequestError(f"expected one common batch size of at least 1, got {sorted(sizes)}")
        self.engine.batching.check(max(sizes))
        found: dict[str, np.ndarray] = {}
        for spec in specs:
            tensor = inputs[spec.name]
            if tensor.ndim - 1 != len(spec.shape) or any(
                size not in (-1, got) for size, got in zip(spec.shape, tensor.shape[1:], strict=True)
            ):
                expected = [-1, *spec.shape]
                raise BadRequestError(f"expected shape {expected} for input {spec.name!r}, got {list(tensor.shape)}")
            found[spec.name] = cast(tensor, spec.dtype, spec.name)
            refuse_unknown(found[spec.name], spec.sizes, spec.least, spec.name)
        return [{name: tensor[at] for name, tensor in found.items()} for at in range(sizes.pop())]


def _engine(deployment: Deployment, watcher: Watcher, batching: Batching | None, clock: Callable[[], float]) -> Engine:
    """The batches in this process."""
    enabled = deployment.enabled
    executor, stops = deployment.executor_for(enabled), stops_of(enabled, deployment.point_of)
    mixed = Mixed(executor, stops, rule(deployment.rule), len(enabled))
    return Engine(mixed, deployment.arranged, watcher, batching, clock)
