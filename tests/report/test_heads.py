from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from offramp.report.heads import heads_figure


def row(point: str, own: float, best: float, importance: dict[str, float]) -> dict[str, Any]:
    judged = {"leaving": 0.5, "agreement": 0.8, "macs": 0.01}
    return {
        "point": point,
        "depth": 0.25,
        "best": {"head": f"best-of-{point}", "saving": best, **judged},
        "own": {"head": "sdn", "saving": own, **judged},
        "kept": best > 0,
        "trials": 30,
        "importance": importance,
    }


FOUND = [
    row("a", 0.02, 0.1, {"width": 0.25, "looks at": 0.75}),
    row("b", -0.01, -0.01, {}),
    row("c", 0.1, 0.3, {"looks at": 0.4, "width": 0.6}),
]


def test_bars_are_savings_and_importances(drawn: list[Figure], tmp_path: Path) -> None:
    heads_figure(FOUND, tmp_path / "found.png")
    with Image.open(tmp_path / "found.png") as image:
        assert image.size[0] == 1800
    left, right = drawn[0].axes
    widths = [bar.get_width() for bar in left.patches]  # type: ignore[attr-defined]
    assert widths == pytest.approx([2, -1, 10, 10, -1, 30])
    assert [text.get_text() for text in left.texts] == ["best-of-a", "best-of-b", "best-of-c"]
    assert [label.get_text() for label in left.get_yticklabels()] == ["a (25 %)", "b (25 %)", "c (25 %)"]
    shares = [(bar.get_x(), bar.get_width()) for bar in right.patches]  # type: ignore[attr-defined]
    np.testing.assert_allclose(shares, [(0, 25), (0, 0), (0, 60), (25, 75), (0, 0), (60, 40)])
    legend = right.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["width", "looks at"]


def test_one_point_where_nothing_matters(tmp_path: Path) -> None:
    heads_figure(FOUND[1:2], tmp_path / "found.svg")
    assert (tmp_path / "found.svg").read_text().startswith("<?xml")
