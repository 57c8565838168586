"""What the geometry says on claims R2 to R6, seed by seed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.regimes.page import at, backbone, last

Run = Mapping[str, Any]

HOLDS, FAILS, UNCLEAR = "holds", "does not hold", "unclear"

SHORT = "joint, one phase"


def verdict(values: Sequence[float]) -> str:
    """What seeds say on a claim that a figure is above 0: all on one side, and further away than a standard deviation.

    >>> verdict([1.0, 1.5]), verdict([-1.0, -1.5]), verdict([1.0, -0.1]), verdict([0.1, 3.0])
    ('holds', 'does not hold', 'unclear', 'unclear')
    """
    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    if abs(mean) <= spread or not (min(values) > 0.0 or max(values) < 0.0):
        return UNCLEAR
    return HOLDS if mean > 0.0 else FAILS


def height(run: Run, one: str, other: str, kind: str = "last") -> float:
    """The barrier between two trainings."""
    (found,) = [line for line in run["lines"] if (line["from"], line["to"]) == (one, other)]
    return float(found["barrier"][kind]["height"])


def middle_of(run: Run, name: str) -> float:
    """Share of the middle exits in the gradients at a moment."""
    return float(run["gradients"]["models"][name]["middle"])


def claims(runs: Sequence[Run]) -> list[tuple[str, str, list[float]]]:
    """Claims on one network that a figure is above 0: what, its unit, and the figure by seed."""
    found = [(name, "points", values) for name, values in _accuracies(runs)]
    return found + [(name, unit, [figure(run) for run in runs]) for name, unit, figure in _figures(runs)]


def _accuracies(runs: Sequence[Run]) -> list[tuple[str, list[float]]]:
    full, quarter = at("100"), at("25")
    return [
        ("**R2** mixed less joint at 100 %, as many steps", _points(runs, ("mixed", full), ("joint", full))),
        ("mixed less joint at 100 %, phases of one length", _points(runs, ("mixed", full), (SHORT, full))),
        ("joint less disjoint at 25 %, as many steps", _points(runs, ("joint", quarter), ("disjoint", quarter))),
        ("mixed less disjoint at 25 %", _points(runs, ("mixed", quarter), ("disjoint", quarter))),
        ("**R3** last exit of joint less backbone, fewer images", _points(runs, (SHORT, last), ("disjoint", backbone))),
        (
            "backbone less last exit of joint, more images",
            _points(runs, ("disjoint", backbone), (SHORT, last), "larger"),
        ),
    ]


def _figures(runs: Sequence[Run]) -> list[tuple[str, str, Callable[[Run], float]]]:
    points = runs[0]["ranks"]["layers"][:-1]
    deepest, control = points[-1:], "mixed, other phase 1"

    def more(one: str, layers: Sequence[str]) -> Callable[[Run], float]:
        return lambda run: _rank(run, one, layers) - _rank(run, "disjoint", layers)

    def higher(one: str, other: str) -> Callable[[Run], float]:
        return lambda run: height(run, one, other) - height(run, "disjoint", "mixed")

    def apart(joint: str, mixed: str) -> Callable[[Run], float]:
        return lambda run: middle_of(run, joint) - middle_of(run, mixed)

    start, end = apart("untrained", "after phase 1"), apart("joint", "mixed")
    return [
        ("**R4** barrier mixed - joint less disjoint - mixed", "nats", higher("mixed", "joint")),
        ("control: barrier mixed - mixed of another phase 1 less disjoint - mixed", "nats", higher("mixed", control)),
        ("**R5** effective rank, joint less disjoint", "", more("joint", points)),
        ("effective rank, mixed less disjoint", "", more("mixed", points)),
        ("effective rank at the deepest exit, joint less disjoint", "", more("joint", deepest)),
        ("effective rank at the deepest exit, mixed less disjoint", "", more("mixed", deepest)),
        ("**R6** share of middle exits at the start, joint less mixed", "", start),
        ("how far the two are apart at the start, less at the end", "", lambda run: abs(start(run)) - abs(end(run))),
    ]


def _points(runs: Sequence[Run], one: tuple[str, Any], other: tuple[str, Any], size: str = "accuracy") -> list[float]:
    """One accuracy less another, in points, by seed."""
    return [100.0 * (one[1](run[size][one[0]]) - other[1](run[size][other[0]])) for run in runs]


def _rank(run: Run, name: str, layers: Sequence[str]) -> float:
    return float(np.mean([run["ranks"]["models"][name][layer]["effective"] for layer in layers]))
