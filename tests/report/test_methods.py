from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.figure import Figure

from offramp.report.methods import POINTS, fronts, methods_figure

Front = list[tuple[float, float]]


def row(recipe: str, front: Front, labels: bool = False, cost: float = 0.5) -> dict[str, Any]:
    return {"recipe": recipe, "front": front, "labels": labels, "accuracy": 90.0, "cost_at_drop": {"1": cost}}


def test_fronts_of_seeds_are_compared_at_equal_cost_where_all_have_a_point() -> None:
    cost, accuracy = fronts([[(1.0, 90.0), (0.5, 80.0)], [(0.25, 60.0), (0.75, 80.0)]])
    assert cost.shape == (POINTS,)
    np.testing.assert_allclose(cost[[0, -1]], [0.5, 0.75])
    np.testing.assert_allclose(accuracy[:, [0, -1]], [[80, 85], [70, 80]])


def test_fronts_with_no_cost_in_common_are_compared_at_the_least_that_all_can_pay() -> None:
    cost, accuracy = fronts([[[0.2, 70.0], [0.4, 80.0]], [(0.6, 85.0), (1.0, 90.0)]])  # read from JSON, or not
    np.testing.assert_allclose(cost, 0.6)
    np.testing.assert_allclose(accuracy[:, 0], [80, 85])


def test_every_recipe_has_a_line_a_band_and_dots(drawn: list[Figure], tmp_path: Path) -> None:
    rows = [
        *(row("dear", [(0.6 + seed / 10, 88.0), (1.0, 90.0)], True, 0.8) for seed in range(3)),
        *(row("cheap", [(0.4 + seed / 10, 88.0 + seed), (1.0, 90.0)], False, 0.5) for seed in range(2)),
        row("once", [(1.0, 90.0)], False, 0.9),
    ]
    methods_figure(rows, tmp_path / "methods.png")
    left, right = drawn[0].axes
    lines = {line.get_label(): line for line in left.get_lines()}
    assert list(lines) == ["cheap", "dear", "once", "backbone"]
    assert [lines[name].get_linestyle() for name in ("cheap", "dear")] == ["-", "--"]
    assert len({lines[name].get_color() for name in lines}) == 4
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == list(lines)
    bands = [one for one in left.collections if isinstance(one, PolyCollection)]
    assert len(bands) == 2
    widest = bands[0].get_paths()[0].get_extents()
    begins = np.array([88 + 2 / 6, 89.0])  # at half the cost, where the dearer of two seeds has its first point
    np.testing.assert_allclose(widest.y0, begins.mean() - begins.std(ddof=1), rtol=1e-6)
    dots = [one for one in right.collections if isinstance(one, PathCollection)]
    assert [len(np.asarray(one.get_offsets())) for one in dots] == [2, 3, 1]
    assert [float(np.asarray(one.get_facecolor())[0, 3]) for one in dots] == [1.0, 0.0, 1.0]
    assert left.get_xlim()[0] == pytest.approx(35.0)
