from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from offramp.errors import InputError
from offramp.report.analyses import groups_of, pairs_of, write_analysis
from offramp.report.landscapes import connectivity_figure, landscape_figure
from offramp.report.profiles import information_figure, ranks_figure
from offramp.report.pulls import gradients_figure

LAYERS = ["a", "b", "c"]


def ranks(value: float) -> dict[str, Any]:
    one = {"numerical": value, "counted": value, "effective": value, "samples": 50, "width": 20}
    return dict.fromkeys(LAYERS, one)


def information(value: float) -> dict[str, Any]:
    level = {
        "noise": 0.4,
        "inputs": [value, 2 * value],
        "answers_alike": [value / 2, value],
        "entropy": 2.3,
        "most": 5.0,
    }
    return {"a": [level], "b": [level], "c": None}


def line(one: str, other: str, top: float) -> dict[str, Any]:
    return {"from": one, "to": other, "at": [0.0, 0.5, 1.0], "last": [1.0, top, 1.0], "mean": [1.0, None, 1.0]}


def heights(line: Line2D) -> np.ndarray:
    found: np.ndarray = np.asarray(line.get_ydata(), np.float64)
    return found


def labels(figure: Figure) -> list[str]:
    return [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]


def test_several_seeds_are_a_mean_with_a_band_and_one_has_none(drawn: list[Figure], tmp_path: Path) -> None:
    ranks_figure(LAYERS, {"one": [ranks(4.0)], "two": [ranks(2.0), ranks(6.0)]}, tmp_path / "r.png")
    axes = drawn[0].axes[0]
    assert axes.get_legend_handles_labels()[1] == ["at most", "one", "two"]
    np.testing.assert_allclose(heights(axes.get_lines()[0]), 20.0)
    np.testing.assert_allclose(heights(axes.get_lines()[2]), 4.0)
    (band,) = axes.collections
    edge = np.asarray(band.get_paths()[0].vertices, np.float64)[:, 1]
    np.testing.assert_allclose([edge.min(), edge.max()], [4 - 8**0.5, 4 + 8**0.5])
    assert len(labels(drawn[0])) == 3
    assert (tmp_path / "r.png").stat().st_size > 1000


def test_information_is_in_nats_and_a_layer_without_it_is_left_open(drawn: list[Figure], tmp_path: Path) -> None:
    information_figure(LAYERS, {"one": [information(1.0)]}, 0, tmp_path / "i.png")
    assert labels(drawn[0]) == ["I(X;Z'), nats", "I(Z';Y), nats"]
    below, above = drawn[0].axes[0].get_lines()[1:3]
    np.testing.assert_allclose(heights(below), [1.0, 1.0, np.nan])
    np.testing.assert_allclose(heights(above), [2.0, 2.0, np.nan])
    assert "0.4" in drawn[0].axes[0].get_title(loc="left")
    assert "dashed: by upper ones" in drawn[0].axes[1].get_title(loc="left")


def test_gradients_are_numbers_where_an_exit_pulls(drawn: list[Figure], tmp_path: Path) -> None:
    pull = {"dominance": [[0.25, 0.75], [0.0, 1.0]], "alignment": [[0.5, 1.0], [None, 1.0]]}
    other = {"dominance": [[0.75, 0.25], [0.0, 1.0]], "alignment": [[-0.5, 1.0], [None, 1.0]]}
    gradients_figure(["a", "b"], ["a", "backbone"], {"one": [pull, other], "two": [pull]}, tmp_path / "g.png")
    texts = [[text.get_text() for text in axes.texts] for axes in drawn[0].axes[:4]]
    assert texts == [["0.50", "0.50", "1.00"], ["0.25", "0.75", "1.00"], ["1.00", "1.00"], ["0.50", "1.00", "1.00"]]
    assert drawn[0].axes[0].get_title(loc="left") == "one"


def test_landscapes_share_a_scale_and_leave_out_what_is_not_finite(drawn: list[Figure], tmp_path: Path) -> None:
    grid = [[2.0, 4.0, None], [1.0, 0.5, 3.0], [2.0, 1.0, 90.0]]
    models: dict[str, Any] = {"one": {"last": grid, "mean": grid}, "two": {"last": grid, "mean": [[None] * 3] * 3}}
    landscape_figure([-1.0, 0.0, 1.0], models, "cross-entropy, nats", tmp_path / "l.png")
    words = [text.get_text() for text in drawn[0].findobj(Text)]
    assert "cross-entropy, nats" in words
    assert "along direction 1,\nin lengths of the filters" in words
    assert (tmp_path / "l.png").exists()


def test_lines_have_names_and_the_plane_its_corners(drawn: list[Figure], tmp_path: Path) -> None:
    grid = [[1.0, 2.0], [3.0, 4.0]]
    corners = {"one": [0.0, 0.0], "two": [1.0, 0.0], "three": [0.5, 1.0]}
    plane = {"x": [0.0, 1.0], "y": [0.0, 1.0], "corners": corners, "last": grid, "mean": grid}
    lines = [[line("one", "two", 2.0), line("one", "two", 4.0)], [line("one", "three", 1.0)]]
    connectivity_figure(lines, plane, "cross-entropy, nats", tmp_path / "c.png")
    assert drawn[0].axes[0].get_legend_handles_labels()[1] == ["one to two", "one to three"]
    np.testing.assert_allclose(heights(drawn[0].axes[0].get_lines()[0]), [1.0, 3.0, 1.0])
    assert drawn[0].axes[2].get_legend_handles_labels()[1] == list(corners)
    connectivity_figure(lines, None, "cross-entropy, nats", tmp_path / "d.png")
    assert len(drawn[1].axes) == 2


def test_trainings_are_grouped_by_their_regime() -> None:
    names = [("a", "a"), ("a (2)", "a"), ("b", "b")]
    lines = [line("a", "a (2)", 1.0), line("a", "b", 2.0), line("a (2)", "b", 3.0)]
    found = {
        "models": [{"name": name, "group": group} for name, group in names],
        "parts": {
            "ranks": {"models": {name: place for place, (name, _) in enumerate(names)}},
            "connectivity": {"lines": lines},
        },
    }
    assert groups_of(found, "ranks") == {"a": [0, 1], "b": [2]}
    assert [[(one["from"], one["to"]) for one in pair] for pair in pairs_of(found)] == [
        [("a", "a, other seed")],
        [("a", "b")],
        [("a", "b, other seed")],
    ]


def test_lines_between_equal_seeds_are_a_spread_and_those_between_others_are_not() -> None:
    names = [("a", "a"), ("a (2)", "a"), ("b", "b"), ("b (2)", "b")]
    lines = [line("a", "b", 1.0), line("a", "b (2)", 9.0), line("a (2)", "b", 8.0), line("a (2)", "b (2)", 2.0)]
    found = {
        "models": [{"name": name, "group": group} for name, group in names],
        "parts": {"connectivity": {"lines": lines}},
    }
    same, other = pairs_of(found)
    assert [one["last"] for one in same] == [lines[0]["last"], lines[3]["last"]]
    assert [one["last"] for one in other] == [lines[1]["last"], lines[2]["last"]]


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another folder"):
        write_analysis({"parts": {}}, tmp_path / "file")
