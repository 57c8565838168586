"""Which of the legal exit points get heads."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from offramp.errors import InputError, UnknownNameError
from offramp.types import ExitPoint

Points = tuple[ExitPoint, ...]
Number = TypeVar("Number", int, float)


def select(points: Sequence[ExitPoint], wish: str | None, most: int) -> Points:
    """The points that a wish names, by depth, each once.

    Args:
        points: all legal points of a model, by depth.
        wish: names or indices separated by commas (names first, where they are numbers too); `every:K` for every K-th;
            `share:0.25,0.5` for those nearest to these shares of the cost; None: at most `most`, spread evenly.
        most: how many where nothing is wished.

    Raises:
        UnknownNameError: if a name or an index is no point.
        InputError: if the wish cannot be read.

    >>> line = [ExitPoint(f"block{i}", i, (8,), (i + 1) / 10) for i in range(9)]
    >>> [point.name for point in select(line, "every:4", 3)], [point.index for point in select(line, "block7,2", 3)]
    (['block3', 'block7'], [2, 7])
    """
    if wish is None:
        return spread(points, most)
    kind, _, rest = wish.partition(":")
    if kind == "every":
        found = _every(points, _number(rest, int, wish))
    elif kind == "share":
        found = _nearest(points, [_share(_number(part, float, wish)) for part in rest.split(",")])
    else:
        found = [_named(points, part.strip()) for part in wish.split(",")]
    return tuple(sorted(set(found), key=lambda point: point.index))


def spread(points: Sequence[ExitPoint], most: int) -> Points:
    """At most `most` points, spread evenly over the cost; of equally near ones the smallest feature.

    >>> line = [ExitPoint(str(i), i, (8,), i / 10) for i in range(1, 10)]
    >>> [point.name for point in spread(line, 3)]
    ['2', '5', '7']
    """
    if len(points) <= most:
        return tuple(points)
    chosen = set(_nearest(points, [(k + 1) / (most + 1) for k in range(most)]))
    return tuple(sorted(chosen, key=lambda point: point.index))


def _nearest(points: Sequence[ExitPoint], shares: Sequence[float]) -> list[ExitPoint]:
    size = {point.name: torch.Size(point.feature_shape).numel() for point in points}
    return [min(points, key=lambda p: (round(abs(p.depth - share), 9), size[p.name])) for share in shares]


def _every(points: Sequence[ExitPoint], step: int) -> list[ExitPoint]:
    if not 1 <= step <= len(points):
        raise InputError(f"expected every:K with K in 1..{len(points)}, the number of points, got {step}")
    return list(points[step - 1 :: step])


def _share(share: float) -> float:
    if not 0.0 < share < 1.0:
        raise InputError(f"expected shares of the cost between 0 and 1, got {share}; write a quarter as 0.25")
    return share


def _named(points: Sequence[ExitPoint], name: str) -> ExitPoint:
    by_name = {point.name: point for point in points}
    if name in by_name:
        return by_name[name]
    if name.isdigit() and int(name) < len(points):
        return points[int(name)]
    raise UnknownNameError.among("exit point", name, by_name)


def _number(text: str, kind: Callable[[str], Number], wish: str) -> Number:
    try:
        return kind(text)
    except ValueError as error:
        raise InputError(f"expected names, indices, every:K or share:0.25,0.5 as points, got {wish!r}") from error
