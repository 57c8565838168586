"""What everything else costs at the quality of the exits' points, by hand."""

import pytest

from offramp.advise.advice import Family, Row, equals
from offramp.advise.contender import CASCADE, EXITS, INT8, INT8_EXITS, PLAIN, Figures
from offramp.advise.equal import MACS
from offramp.advise.race import Taken


def row(kind: str, way: str, accuracy: float, cost: float, time: float | None = None) -> Row:
    taken = {} if time is None else {1: Taken(1.0, time, 0.0)}
    return Row(kind, kind, way, Figures(cost, 0.9, accuracy, 0.0, 0.0), None, taken, 0)


ROWS = (
    row(PLAIN, "", 0.94, 1.0, 1.0),
    row(EXITS, "balanced", 0.93, 0.7, 0.8),
    row(CASCADE, "fast", 0.92, 0.4, 0.5),
    row(INT8, "", 0.935, 1.0, 0.45),
    row(INT8_EXITS, "fast", 0.91, 0.6, 0.25),
)
FAMILIES = tuple(
    Family(one.name, one.kind, {}, ((one.figures.quality, one.figures.cost),)) for one in ROWS if one.kind != PLAIN
)


def test_in_time_a_family_ends_with_the_model_that_runs_where_nobody_leaves() -> None:
    in_macs, in_time = equals(ROWS, FAMILIES, [1])
    assert (in_macs.measure, in_macs.own, in_time.own) == (MACS, 0.7, 0.8)
    assert in_macs.others == {CASCADE: None, INT8: 1.0, INT8_EXITS: None}
    assert in_time.others[CASCADE] == pytest.approx(0.75)  # half way from 0.5 to the plain model's 1
    assert in_time.others[INT8] == 0.45
    assert in_time.others[INT8_EXITS] == pytest.approx(0.25 + 0.2 * (0.93 - 0.91) / (0.935 - 0.91))


def test_what_was_not_timed_is_not_told_in_time() -> None:
    untimed = tuple(row(one.kind, one.way, 0.9, one.figures.cost) for one in ROWS)
    assert [one.measure for one in equals(untimed, FAMILIES, [1])] == [MACS]
