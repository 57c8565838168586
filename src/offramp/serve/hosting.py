"""The versions of a model behind the server: the one that answers, and the one before, to go back to."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from offramp.serve.deployment import Deployment
from offramp.serve.endpoint import Endpoint, Wish
from offramp.serve.errors import ConflictError, RefusedError
from offramp.serve.holding import Holding
from offramp.serve.logs import LOG, tell
from offramp.serve.sample import Answer, Row
from offramp.serve.watch import Watch

PATIENCE = 60.0
"""Seconds that the first batch of a new version may take."""

ALIKE = 1e-2
"""Difference of logits, as a share of the largest, up to which two backbones are one: other batches round otherwise."""


@runtime_checkable
class Host(Protocol):
    """What answers now."""

    @property
    def endpoint(self) -> Endpoint:
        """The model."""
        ...

    @property
    def watch(self) -> Watch:
        """What is known of it."""
        ...

    @property
    def idle(self) -> bool:
        """Whether all that was taken is answered."""
        ...


@dataclass(frozen=True, eq=False)
class Version:
    """A version of a model; as a host it is the only one.

    Attributes:
        endpoint: the model.
        watch: what is known of it.
        holding: the controller, where there is one.
    """

    endpoint: Endpoint
    watch: Watch
    holding: Holding | None = None

    @property
    def idle(self) -> bool:
        """Whether all that was taken is answered."""
        return self.endpoint.engine.idle

    def begin(self) -> None:
        """It answers from now on."""
        if self.holding is not None:
            self.holding.start()

    def end(self) -> None:
        """It answers nothing new for now."""
        if self.holding is not None:
            self.holding.end()


Begun = Callable[[Deployment, int], Version]
"""Makes a version of a deployment, whose first generation has that number; it does not answer yet."""


class Versions:
    """A host whose model can be replaced while it answers.

    Requests that are under way are answered by the version that took them. The version before keeps standing by.
    """

    def __init__(self, begun: Begun, first: Deployment, newest: Callable[[], Deployment]) -> None:
        """The first version answers.

        Args:
            begun: makes versions.
            first: the model.
            newest: loads it anew from where it is.
        """
        self._begun, self._newest = begun, newest
        self._current = begun(first, 0)
        self._before: Version | None = None
        self._replacing = threading.Lock()
        self._number = 1
        self._current.begin()

    @property
    def endpoint(self) -> Endpoint:
        """The model that answers."""
        return self._current.endpoint

    @property
    def watch(self) -> Watch:
        """What is known of it."""
        return self._current.watch

    @property
    def idle(self) -> bool:
        """Whether all that any version took is answered."""
        return all(one.idle for one in self._standing())

    def refuse(self) -> None:
        """Takes nothing more."""
        for one in self._standing():
            one.endpoint.engine.refuse()

    def close(self, seconds: float) -> None:
        """Ends all of it."""
        for one in self._standing():
            one.end()
            one.endpoint.engine.close(seconds)

    def load(self) -> Endpoint:
        """Takes the newest version, once it was found to work; takes long, and must not be called by the event loop.

        Raises:
            ConflictError: if there is none that fits and works, or one is being loaded; then nothing changes.
        """
        with self._alone():
            try:
                return self._replaced().endpoint
            except RefusedError:
                raise
            except Exception as error:  # whatever loading, exporting or the model raises
                LOG.warning("the new version cannot be used", exc_info=error)
                raise ConflictError("the new version cannot be used; the log of the server says why") from error

    def roll_back(self) -> Endpoint:
        """Takes the version before again.

        Raises:
            ConflictError: if there is none, or another one is being loaded.
        """
        with self._alone():
            before = self._before
            if before is None:
                raise ConflictError("expected a version before this one, there is none to go back to")
            before.endpoint.renew(self.endpoint.active.generation + 1)
            self._current, self._before = before, self._current
            self._before.end()
            before.begin()
            version = before.endpoint.deployment.version
            tell(logging.WARNING, "rollback", f"back to version {version}", version=version)
            return before.endpoint

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While a version takes the place of another.

        Raises:
            ConflictError: if one does so already.
        """
        if not self._replacing.acquire(blocking=False):
            raise ConflictError("another version is being loaded; wait until it is there")
        try:
            yield
        finally:
            self._replacing.release()

    def _replaced(self) -> Version:
        old = self._current
        deployment = replace(self._newest(), version=str(self._number + 1))
        _check_fit(old.endpoint.deployment, deployment)
        new = self._begun(deployment, old.endpoint.active.generation + 1)
        try:
            _try(old.endpoint, new.endpoint)
        except Exception:
            new.endpoint.engine.close(0.0)
            raise
        self._number += 1
        out, self._before, self._current = self._before, old, new
        old.end()
        new.begin()
        if out is not None:
            threading.Thread(target=out.endpoint.engine.close, daemon=True).start()
        tell(logging.WARNING, "version", f"version {deployment.version} answers", version=deployment.version)
        return new

    def _standing(self) -> list[Version]:
        return [self._current] if self._before is None else [self._current, self._before]


def _check_fit(old: Deployment, new: Deployment) -> None:
    """Refuses a model that clients of the old one could not ask as before.

    Raises:
        ConflictError: if its name, inputs, task, classes or tokenizer are others.
    """
    for what in ("name", "inputs", "task", "classes", "tokeniser"):
        if getattr(old, what) != getattr(new, what):
            raise ConflictError(f"expected the {what} of the version before, got others; serve it by itself")


def _try(old: Endpoint, new: Endpoint) -> None:
    """Runs the new version on an input, with its exits and as a whole, and compares its backbone with the old one's.

    Raises:
        ConflictError: if it fails, or is another backbone.
    """
    row = old.engine.health.row or {
        spec.name: np.zeros([max(size, 1) for size in spec.shape], spec.dtype) for spec in new.deployment.inputs
    }
    _asked(new, row, new.deployment.active)
    before, after = (_asked(one, row, next(iter(one.deployment.points))).logits for one in (old, new))
    if not np.allclose(before, after, rtol=ALIKE, atol=ALIKE * float(np.abs(before).max())):
        raise ConflictError("expected the backbone of the version before, got another; serve it by itself")


def _asked(endpoint: Endpoint, row: Row, point: str) -> Answer:
    heard: list[Answer | RefusedError] = []
    done = threading.Event()

    def listener(_: int, answer: Answer | RefusedError) -> None:
        heard.append(answer)
        done.set()

    # the deadline is far, but there is one, so that this is no evidence of anything
    endpoint.ask({name: array[None] for name, array in row.items()}, Wish(point, deadline=PATIENCE), listener)
    if not done.wait(PATIENCE) or isinstance(heard[0], RefusedError):
        raise ConflictError(f"expected an answer at {point}, got {heard[0] if heard else 'none'}")
    return heard[0]
