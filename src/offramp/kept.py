"""Which certified operating points a bundle keeps, and what they are called."""

from collections.abc import Sequence
from dataclasses import replace

from offramp.types import OperatingPoint

LEVELS = (("balanced", 1.0), ("careful", 0.5), ("fast", 2.0), ("fastest", 5.0))
"""Each name belongs to the cheapest point certified at this multiple of the goal; the first has the first choice."""

FULL = "full"
"""The point that never leaves early: the backbone itself."""


def worth_keeping(points: Sequence[OperatingPoint], most: int) -> list[OperatingPoint]:
    """The points with a certificate: the cheapest at every certified level, and others evenly over the cost.

    The one that never leaves early is always kept; where the backbone was trained, it may have no certificate either.
    """
    proved = [point for point in points if point.bound is not None or not any(point.configuration.enabled)]
    cheapest = {point.bound.epsilon: point for point in sorted(proved, key=lambda p: -p.cost) if point.bound}
    kept = {point.name: point for point in [*proved[:1], *cheapest.values()]}
    low, high = min(point.cost for point in proved), max(point.cost for point in proved)
    for step in range(most):
        if len(kept) >= most:
            break
        wanted = high - (high - low) * (step + 0.5) / most
        nearest = min(proved, key=lambda point: abs(point.cost - wanted))
        kept[nearest.name] = nearest
    return [point for point in proved if point.name in kept]


def named(
    points: Sequence[OperatingPoint], max_drop: float, told: Sequence[float] | None = None
) -> tuple[tuple[OperatingPoint, ...], dict[str, str]]:
    """The same points, called by what they are good for, and the names that mean a point with another name.

    A point without a name of its own is called by its cost in percent, or by what is `told` of it instead. Where
    nothing better is certified, `balanced` means `full`: the name always works, and promises no more than was proved.
    A trained backbone may itself be certified at a higher level than the name says, or at none: its bound tells.
    """
    names = {index: FULL for index, point in enumerate(points) if not any(point.configuration.enabled)}
    full = next(iter(names))
    owner: dict[str, int] = {}
    for name, multiple in LEVELS:
        limit = multiple * max_drop * (1 + 1e-9)
        inside = [i for i, point in enumerate(points) if point.bound is not None and point.bound.epsilon <= limit]
        owner[name] = min(inside, key=lambda i: points[i].cost, default=full)
        names.setdefault(owner[name], name)
    for index, point in enumerate(points):
        names.setdefault(index, f"cost{100 * (told[index] if told else point.cost):.0f}")
    final = {index: _unique(names, index) for index in names}
    aliases = {name: final[index] for name, index in owner.items() if final[index] != name}
    return tuple(replace(point, name=final[index]) for index, point in enumerate(points)), aliases


def _unique(names: dict[int, str], index: int) -> str:
    """A name that no earlier point has: points of one cost in percent are numbered."""
    earlier = sum(names[other] == names[index] for other in range(index))
    return names[index] + (f"-{earlier + 1}" if earlier else "")
