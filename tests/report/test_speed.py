"""The figure of a grid of speed."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from offramp.errors import InputError
from offramp.report.speed import COLOURS, speed_figure
from offramp.speed import OFF, PLANNED, UNCUT, SpeedRow

BATCHES = (32, 1, 8)


def row(backend: str, batch: int, point: str, ratio: float = 1.0, ideal: float = 1.0) -> SpeedRow:
    return SpeedRow(backend, "f32", 1, batch, point, 1.0, ratio, ratio, ideal, None, 0.02, None, 1.0, 1.0, 1.0)


def rows_of(backends: Sequence[str], points: Sequence[str]) -> list[SpeedRow]:
    """Batch sizes in no order."""
    found = []
    for backend in backends:
        for batch in BATCHES:
            found += [row(backend, batch, UNCUT), row(backend, batch, OFF, 1.1)]
            for number, point in enumerate(points):
                ratio = 0.9 - 0.1 * number - 0.001 * batch
                found += [row(backend, batch, point, ratio, 0.5), row(backend, batch, f"{point}, {PLANNED}", ratio / 2)]
    return found


def labels(figure: Figure, panel: int = 0) -> list[str]:
    legend = figure.axes[panel].get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]


def points_of(line: Line2D) -> np.ndarray:
    return np.asarray(line.get_xydata(), float)


@pytest.mark.parametrize(("suffix", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_files_of_each_format(suffix: str, begins: bytes, tmp_path: Path) -> None:
    speed_figure(rows_of(["eager"], ["fast"]), "net", tmp_path / f"speed.{suffix}")
    assert (tmp_path / f"speed.{suffix}").read_bytes().startswith(begins)
    assert [path.name for path in tmp_path.iterdir()] == [f"speed.{suffix}"]
    with pytest.raises(InputError, match=r"\.png, \.svg, \.pdf; got 'a.json'"):
        speed_figure(rows_of(["eager"], ["fast"]), "net", tmp_path / "a.json")


def test_one_back_end(drawn: list[Figure], tmp_path: Path) -> None:
    speed_figure(rows_of(["eager"], ["fast"]), "net, 1 thread", tmp_path / "a.png")
    (axes,) = drawn[0].axes
    assert axes.get_title(loc="left") == "eager"
    assert labels(drawn[0]) == ["nobody leaves", "fast, planned", "fast"]
    ratio = 0.9 - 0.001 * np.array([1, 8, 32])
    (off,), (planned,) = (
        [line for line in axes.lines if line.get_label() == name] for name in ("nobody leaves", "fast, planned")
    )
    np.testing.assert_allclose(points_of(off), [[1, 110], [8, 110], [32, 110]])
    np.testing.assert_allclose(points_of(planned)[:, 1], 50 * ratio)
    (measured,) = [line for line in axes.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(points_of(measured), np.stack([[1, 8, 32], 100 * ratio], axis=1))
    (ideal,) = [line for line in axes.lines if line.get_linestyle() == ":"]
    np.testing.assert_allclose(points_of(ideal), [[1, 50], [8, 50], [32, 50]])
    (bars,) = axes.collections
    heights = [float(np.ptp(np.asarray(path.vertices)[:, 1])) for path in bars.get_paths()]
    assert heights == pytest.approx([8.0] * 3)
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "8", "32"]


def test_several_back_ends_have_a_panel_each_and_plain_ones_none(drawn: list[Figure], tmp_path: Path) -> None:
    rows = [*rows_of(["eager", "onnx"], ["fast", "fastest"]), row("openvino", 1, UNCUT)]
    speed_figure(rows, "net", tmp_path / "a.png")
    assert [axes.get_title(loc="left") for axes in drawn[0].axes] == ["eager", "onnx"]
    assert labels(drawn[0]) == ["nobody leaves", "fast, planned", "fastest, planned", "fast", "fastest"]
    assert labels(drawn[0], 1) == []


def test_only_plain_rows_draw_an_empty_panel_without_a_warning(drawn: list[Figure], tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        speed_figure([row("eager", batch, UNCUT) for batch in BATCHES], "net", tmp_path / "a.png")
    (axes,) = drawn[0].axes
    assert not axes.lines
    assert (tmp_path / "a.png").exists()


def test_no_point_is_left_out_however_many_there_are(drawn: list[Figure], tmp_path: Path) -> None:
    names = [f"p{number}" for number in range(len(COLOURS) + 2)]
    speed_figure(rows_of(["eager"], names), "net", tmp_path / "a.png")
    assert set(names) <= set(labels(drawn[0]))
    dotted = [to_hex(line.get_color()) for line in drawn[0].axes[0].lines if line.get_linestyle() == ":"]
    assert dotted == [to_hex(colour) for colour in (*COLOURS, *COLOURS[:2])]
