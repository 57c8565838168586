"""What is looked after while a model is served: its promises, its pace, a target, and what is kept of its inputs."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from offramp.audit_files import Store
from offramp.serve.batcher import Batching
from offramp.serve.controller import Controller
from offramp.serve.deployment import Deployment
from offramp.serve.endpoint import Endpoint
from offramp.serve.holding import Holding
from offramp.serve.hosting import Begun, Version
from offramp.serve.keeping import Keeper
from offramp.serve.logs import tell
from offramp.serve.monitor import Audits
from offramp.serve.slowdown import Pace
from offramp.serve.watch import Watch

GRACE = 10.0
"""Seconds in which what was kept must be written at the end."""


@dataclass(frozen=True)
class Care:
    """What is looked after.

    Attributes:
        audits: how many early answers are compared with the backbone's.
        fallback: whether the most accurate point is made the active one when a promise is found broken.
        control: makes the controller of a version, which holds a target by switching; None: only whoever is asked to
            switches.
        pace: when samples are said to go on for too long.
        cap: share of the backbone that a sample may cost while they do; None: it is only told.
        store: where inputs that audits drew are kept; None: nowhere.
    """

    audits: Audits = field(default_factory=Audits)
    fallback: bool = False
    control: Callable[[Deployment], Controller] | None = None
    pace: Pace = field(default_factory=Pace)
    cap: float | None = None
    store: Store | None = None


@contextmanager
def cared(care: Care, batching: Batching) -> Iterator[Begun]:
    """Makes versions that are looked after; what was kept is written at the end.

    Raises:
        InputError: if what audits drew cannot be kept.
    """
    keeper = None if care.store is None else Keeper(care.store)
    try:
        yield lambda deployment, generation: _version(care, batching, keeper, deployment, generation)
    finally:
        if keeper is not None:
            keeper.close(GRACE)


def _version(care: Care, batching: Batching, keeper: Keeper | None, deployment: Deployment, generation: int) -> Version:
    """A version that is looked after, which does not answer yet."""
    safest = next(iter(deployment.points))

    def alarmed(point: str) -> None:
        found = watch.auditor.found(point)
        told = f"; now at {safest}" if care.fallback else ""
        tell(
            logging.WARNING,
            "alarm",
            f"more disagreement at {point} than was certified{told}",
            point=point,
            promise=found.promise,
            disagreement=found.disagreement,
            samples=found.samples,
            fallback=safest if care.fallback else None,
        )
        if care.fallback and holding is not None:
            holding.without(point)
        if care.fallback and endpoint.active.name == point:
            endpoint.switch(safest)

    def slowed(point: str, slow: bool) -> None:
        told = "go on for too long" if slow else "are watched again, whether they still go on for too long"
        tell(logging.WARNING, "slow", f"samples at {point} {told}", point=point, slow=slow, cap=care.cap)
        endpoint.cap(care.cap if watch.slowdown.anywhere else None)

    watch = Watch(
        deployment, care.audits, alarmed, pace=care.pace, slowed=slowed, keep=None if keeper is None else keeper.keep
    )
    endpoint = Endpoint(deployment, watch, batching, care.audits.share, generation=generation)
    control = None if care.control is None else care.control(deployment)
    holding = None if control is None else Holding(endpoint, watch, control)
    return Version(endpoint, watch, holding)
