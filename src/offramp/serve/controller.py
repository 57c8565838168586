"""Holds a target by moving along the front: to cheaper points when it is missed, back when there is room."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from offramp.errors import InputError
from offramp.serve.deployment import ServedPoint

MEASURES = ("p95", "queue", "cost")
"""What can be held: the 95th percentile of the latency in seconds, samples that wait, or the mean cost as a share."""

LONGEST = 16
"""Most multiples of the patience that a step back waits after others have failed."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the controller is.

    Attributes:
        level: which of its points is active, 0 the most accurate.
        over: how many measurements in a row missed the target.
        under: how many in a row left room.
        doubled: how often the patience is doubled, since steps back have failed.
        since: measurements since the last step back, until it has held; None: there is none to be judged.
    """

    level: int = 0
    over: int = 0
    under: int = 0
    doubled: int = 0
    since: int | None = None


@dataclass(frozen=True, slots=True)
class Controller:
    """Steps one point at a time, quickly towards cheaper ones, slowly back; far above the target it takes the cheapest.

    Between `room` times the target and the target nothing changes, and a step back needs `patience` measurements in a
    row that leave room. If the target is missed soon after a step back, the next one waits twice as long: a cheap point
    may leave room that a dear one does not have, and going to and fro helps nobody.

    Attributes:
        points: names of operating points, from the most accurate to the cheapest; it uses no others.
        measure: one of `MEASURES`.
        target: what is to be held, in the unit of the measure.
        haste: measurements in a row over the target before a step to a cheaper point.
        patience: measurements in a row with room before a step back.
        room: share of the target below which there is room.
        far: times the target above which it goes to the cheapest point at once, since what waits must be worked off.

    Example:
        >>> control = Controller(("full", "balanced", "fast"), "queue", 10.0, haste=1, patience=2)
        >>> standing = Standing()
        >>> for waiting in (20.0, 20.0, 1.0, 1.0):
        ...     standing = control.step(standing, waiting)
        ...     print(control.points[standing.level])
        balanced
        fast
        fast
        balanced
    """

    points: tuple[str, ...]
    measure: str
    target: float
    haste: int = 2
    patience: int = 10
    room: float = 0.6
    far: float = 2.0

    def __post_init__(self) -> None:
        if self.measure not in MEASURES:
            raise InputError(f"expected a measure among {', '.join(MEASURES)}, got {self.measure!r}")
        if not self.points:
            raise InputError("expected an operating point within the floor, got none; lower the floor or certify more")
        if not self.target > 0 or self.haste < 1 or self.patience < 1 or not 0.0 < self.room < 1.0 <= self.far:
            raise InputError(
                "expected a positive target, haste and patience of at least 1, room between 0 and 1, far of at least 1"
            )

    def step(self, standing: Standing, measured: float | None) -> Standing:
        """Where it stands after a measurement; None: there was nothing to do, which leaves room."""
        wait = self.patience * 2**standing.doubled
        if measured is not None and measured > self.target:
            return self._missed(standing, measured > self.far * self.target)
        if standing.since is not None:
            held = standing.since >= wait
            standing = replace(standing, since=None, doubled=0) if held else replace(standing, since=standing.since + 1)
        if measured is not None and measured > self.room * self.target:
            return replace(standing, over=0, under=0)
        if standing.under + 1 < wait or standing.level == 0:
            return replace(standing, over=0, under=standing.under + 1)
        return replace(standing, level=standing.level - 1, over=0, under=0, since=0)

    def _missed(self, standing: Standing, far: bool) -> Standing:
        if standing.over + 1 < self.haste:
            return replace(standing, over=standing.over + 1, under=0)
        failed = standing.since is not None and 2**standing.doubled < LONGEST
        level = len(self.points) - 1 if far else min(standing.level + 1, len(self.points) - 1)
        return Standing(level, doubled=standing.doubled + failed)


def usable(points: Mapping[str, ServedPoint], floor: float | None) -> tuple[str, ...]:
    """The points that a controller may use, from the most accurate to the cheapest.

    Args:
        points: in that order.
        floor: the largest certified risk that is allowed; None: of any point, certified or not.
    """
    return tuple(
        name
        for name, point in points.items()
        if floor is None or not any(point.configuration.enabled) or (point.bound is not None and point.bound <= floor)
    )
