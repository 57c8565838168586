"""Watches what is answered: exit shares, costs, latencies, and by audits whether the promise is still kept."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from offramp.decide.drift import DriftTest, Evidence
from offramp.errors import InputError

UNREAD = 256
"""Samples that are read at once where none of them disagreed, since those cannot raise an alarm."""

Alarmed = Callable[[str], None]
"""Called with the name of an operating point that is found to disagree more than it promised."""


@dataclass(frozen=True)
class Audits:
    """How audited samples are drawn and judged.

    Attributes:
        share: of the samples that leave early, drawn at random, that are run to the end all the same.
        alpha: probability of a false alarm, ever, at an operating point that keeps its promise. That it keeps it is
            certain up to the certificate's own delta.
        window: samples after which another test begins, so that a late drift is found nearly as soon as an early one.
    """

    share: float = 0.02
    alpha: float = 0.01
    window: int = 10_000

    def __post_init__(self) -> None:
        if not 0.0 <= self.share <= 1.0:
            raise InputError(f"expected a share of audits between 0 and 1, got {self.share}")


@dataclass(frozen=True)
class Audited:
    """What audits have found at an operating point.

    Attributes:
        promise: the certified disagreement; None where there is none, and then there is no alarm.
        samples: answered where the operating point alone decided.
        compared: of them audited.
        disagreement: estimate for all of them, those that went to the end included; None before the first.
        alarm: after how many samples the promise was found broken; None: it was not.
    """

    promise: float | None
    samples: int
    compared: int
    disagreement: float | None
    alarm: int | None


@dataclass
class _Stream:
    """What is known of one operating point."""

    test: DriftTest | None
    evidence: Evidence | None
    samples: int = 0
    compared: int = 0
    weighted: float = 0.0
    unread: list[float] = field(default_factory=list)


class Auditor:
    """Turns compared samples into evidence, one stream for each operating point.

    A sample that leaves at the backbone cannot disagree with it; one that leaves early counts 1/share times if it was
    audited and disagreed, and 0 if not. The mean of that is the disagreement of all samples.
    """

    def __init__(self, audits: Audits, promises: Mapping[str, float | None], alarmed: Alarmed) -> None:
        """No evidence yet.

        Args:
            audits: how samples are drawn, as the endpoint draws them.
            promises: by operating point the certified disagreement with the backbone; None: no alarm.
            alarmed: called once for each point that breaks its promise.
        """
        self._audits, self._alarmed = audits, alarmed
        self._streams: dict[str, _Stream] = {}
        for name, promise in promises.items():
            test = None
            if promise is not None and 0.0 < promise < 1.0 and audits.share > 0.0:
                test = DriftTest(promise, audits.alpha, 1.0 / audits.share, audits.window)
            self._streams[name] = _Stream(test, None if test is None else test.start())

    def saw(self, name: str, disagreed: Sequence[float | bool | None]) -> None:
        """Samples that were answered at a point, in their order.

        Args:
            name: of the point.
            disagreed: for each one how far it disagreed with the backbone, in [0, 1]; None where it was not compared.
        """
        stream = self._streams[name]
        weight = 1.0 / self._audits.share if self._audits.share else 0.0
        values = np.array([weight * (one or 0.0) for one in disagreed])
        stream.samples += len(disagreed)
        stream.compared += sum(one is not None for one in disagreed)
        stream.weighted += float(values.sum())
        if stream.test is None or stream.evidence is None:
            return
        stream.unread += values.tolist()
        if not values.any() and len(stream.unread) < UNREAD:
            return
        before = stream.evidence.alarm
        stream.evidence, stream.unread = stream.test.step(stream.evidence, stream.unread), []
        if before is None and stream.evidence.alarm is not None:
            self._alarmed(name)

    def found(self, name: str) -> Audited:
        """What is known of a point."""
        stream = self._streams[name]
        return Audited(
            promise=None if stream.test is None else stream.test.level,
            samples=stream.samples,
            compared=stream.compared,
            disagreement=stream.weighted / stream.samples if stream.samples else None,
            alarm=None if stream.evidence is None else stream.evidence.alarm,
        )


class Recent:
    """Numbers of the last seconds, a limited number of them."""

    def __init__(self, seconds: float = 10.0, most: int = 20_000, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds, self._clock = seconds, clock
        self._values: deque[tuple[float, float]] = deque(maxlen=most)
        self._lock = threading.Lock()

    def add(self, value: float) -> None:
        """A number that came just now."""
        with self._lock:
            self._values.append((self._clock(), value))

    def values(self) -> np.ndarray:
        """Those that came in the last seconds."""
        since = self._clock() - self.seconds
        with self._lock:
            while self._values and self._values[0][0] < since:
                self._values.popleft()
            return np.array([value for _, value in self._values])

    def quantile(self, share: float) -> float | None:
        """A quantile of them; None where there are none."""
        found = self.values()
        return float(np.quantile(found, share)) if found.size else None
