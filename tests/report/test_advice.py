from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from offramp.advise.advice import Advice, Family, Row
from offramp.advise.contender import CASCADE, EXITS, PLAIN, STATIC, Figures
from offramp.advise.race import Taken
from offramp.errors import InputError
from offramp.report.advice import advice_figure


def row(name: str, kind: str, way: str, cost: float, quality: float, times: bool) -> Row:
    taken = {size: Taken(1.0, cost + 0.05, 0.01) for size in ((1, 32) if times else ())}
    return Row(name, kind, way, Figures(cost, quality, quality, 0.0, 0.1), None, taken, 1000)


def told(times: bool = True) -> Advice:
    rows = (
        row("big", PLAIN, "", 1.0, 0.93, times),
        row("exits", EXITS, "balanced", 0.7, 0.928, times),
        row("exits", EXITS, "fast", 0.6, 0.92, times),
        row("small", STATIC, "", 0.3, 0.91, times),
        row("small > big", CASCADE, "balanced", 0.5, 0.931, False),  # could not be run
    )
    families = tuple(
        Family(name, kind, {}, tuple((r.figures.quality, r.figures.cost) for r in rows if r.name == name))
        for name, kind in (("big", PLAIN), ("exits", EXITS), ("small", STATIC), ("small > big", CASCADE))
    )
    return Advice(750, "the report part", 0.93, 1e6, rows, families, (), None, None)


def test_there_is_a_panel_for_macs_and_one_for_each_batch_size(drawn: list[Figure], tmp_path: Path) -> None:
    advice_figure(told(), tmp_path / "a.png")
    (figure,) = drawn
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert labels == [
        "mean MACs, % of the plain model's",
        "time at batch 1, % of the plain model's",
        "time at batch 32, % of the plain model's",
    ]
    assert figure.axes[0].get_ylabel() == "accuracy, %"
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_every_alternative_has_a_mark_and_a_colour_of_its_own(drawn: list[Figure], tmp_path: Path) -> None:
    advice_figure(told(times=False), tmp_path / "a.svg")
    (axes,) = drawn[0].axes
    named = {
        str(line.get_label()): (line.get_marker(), line.get_color())
        for line in axes.get_lines()
        if not str(line.get_label()).startswith("_")
    }
    assert set(named) == {"big", "exits", "small", "small > big"}
    assert len({mark for mark, _ in named.values()}) == len({colour for _, colour in named.values()}) == 4
    marks = [np.asarray(line.get_xydata()).round(6).tolist() for line in axes.get_lines()]
    assert all([[cost, quality]] in marks for cost, quality in ((70.0, 92.8), (60.0, 92.0), (50.0, 93.1)))


def test_a_figure_of_a_kind_that_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a figure as"):
        advice_figure(told(), tmp_path / "a.txt")
