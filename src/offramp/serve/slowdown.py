"""Whether samples go on for longer than they did when the point was chosen: by drift, or since somebody wants that.

Inputs can be made so that no exit takes them (a slow-down attack: Hong et al., ICLR 2021, "A Panda? No, It's a Sloth").
What a sample costs is known without audits, so this is found soon.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from offramp.decide.drift import DriftTest, Evidence
from offramp.errors import InputError
from offramp.serve.deployment import ServedPoint

UNREAD = 16
"""Samples that are read at once."""

CALM = 2_000
"""Samples without trouble after which what was before is forgotten."""

Told = Callable[[str, bool], None]
"""Called with the name of a point, and whether its samples go on for too long or do so no more."""


@dataclass(frozen=True)
class Pace:
    """When samples are said to go on for too long.

    Attributes:
        slack: how far the mean cost may move from what it was, 0, towards that of all samples going to the end, 1.
        alpha: probability that this is ever said of a point whose mean cost is within the slack.
        window: samples after which another player of the test begins: the fewer the sooner a late attack is found.
        hold: seconds after which it is tried whether it is over; twice as many each time that it is not.
        longest: most times as many.
    """

    slack: float = 0.5
    alpha: float = 0.01
    window: int = 100
    hold: float = 60.0
    longest: int = 16

    def __post_init__(self) -> None:
        if not 0.0 < self.slack < 1.0 or not 0.0 < self.alpha < 1.0 or self.window < 1:
            raise InputError(f"expected slack and alpha between 0 and 1 and a window of at least 1, got {self}")
        if not self.hold > 0.0 or self.longest < 1:
            raise InputError(f"expected to hold for more than 0 s and at least once as long, got {self}")

    def test(self, point: ServedPoint) -> DriftTest | None:
        """Of what a sample costs at a point; None where that is not known or nobody leaves early."""
        if point.cost is None or point.leaving is None or not any(point.configuration.enabled):
            return None
        worst = max(point.leaving)
        level = point.cost + self.slack * (worst - point.cost)
        return DriftTest(level, self.alpha, worst, self.window) if 0.0 < level < worst else None


@dataclass
class _Course:
    """What is known of one point."""

    test: DriftTest
    evidence: Evidence
    unread: list[int] = field(default_factory=list)
    until: float | None = None
    held: int = 0


class Slowdown:
    """Reads what samples cost, one stream for each operating point.

    Once it is said that they go on for too long nothing is read for a while; then it is taken back and tested anew.
    """

    def __init__(
        self, pace: Pace, points: Mapping[str, ServedPoint], told: Told, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Nothing read yet.

        Args:
            pace: when it is said.
            points: by name.
            told: hears when it begins at a point, and when it is taken back.
            clock: tells the time in seconds.
        """
        self._pace, self._told, self._clock = pace, told, clock
        self._leaving = {name: np.array(point.leaving or ()) for name, point in points.items()}
        tests = {name: pace.test(point) for name, point in points.items()}
        self._slow: set[str] = set()
        self._courses = {name: _Course(test, test.start()) for name, test in tests.items() if test is not None}

    def saw(self, name: str, exits: Sequence[int]) -> None:
        """Samples of a point that left where its thresholds said, in their order."""
        course = self._courses.get(name)
        if course is None or course.until is not None:
            return
        course.unread += exits
        if len(course.unread) < UNREAD:
            return
        costs, course.unread = self._leaving[name][course.unread], []
        course.evidence = course.test.step(course.evidence, costs)
        if course.evidence.alarm is not None:
            times = min(2**course.held, self._pace.longest)
            course.until, course.held = self._clock() + times * self._pace.hold, course.held + 1
            self._slow.add(name)
            self._told(name, True)
        elif course.evidence.seen >= CALM:
            course.held = 0

    def tick(self) -> None:
        """Takes back what was said long enough ago."""
        for name in tuple(self._slow):
            course = self._courses[name]
            if course.until is not None and self._clock() >= course.until:
                course.until, course.evidence, course.unread = None, course.test.start(), []
                self._slow.discard(name)
                self._told(name, False)

    @property
    def anywhere(self) -> bool:
        """Whether they do so at any point."""
        return bool(self._slow)

    def slow(self, name: str) -> bool:
        """Whether samples of a point go on for too long."""
        return name in self._slow
