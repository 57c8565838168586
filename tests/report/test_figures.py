from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from offramp.decide.hits import hit_curves
from offramp.errors import InputError
from offramp.evaluation import Evaluated, Evaluation
from offramp.proposal import Survey
from offramp.report import style
from offramp.report.front import front_figure
from offramp.report.hits import effect_figure, hits_figure
from offramp.report.points import points_figure
from offramp.report.reliability import reliability_figure
from offramp.testing.searchers import random_table
from offramp.types import Bound, ExitPoint
from offramp.uncertainty.reliability import Reliability
from tests.cli.world import full_disk

SHOWN = Reliability((100, 300, 100), (0.4, 0.7, 0.95), (0.5, 0.6, 0.9))
POINTS = [ExitPoint(f"layer{i}.block", i, (8 * (i + 1), 4, 4), (i + 1) / 12) for i in range(10)]


def evaluation(
    accuracy: float | None, risk: str = "disagreement", exits: int = 3, delta: float | None = 0.1
) -> Evaluation:
    share = tuple(np.full(exits + 1, 1 / (exits + 1)))
    found = tuple(
        Evaluated(
            name=f"p{index}",
            cost_ratio=1 - 0.2 * index,
            agreement=1 - 0.01 * index,
            accuracy=None if accuracy is None else accuracy - 0.01 * index,
            accuracy_drop=None if accuracy is None else 1.0 * index,
            exit_share=share,
            time_ratio={},
            bound=Bound(risk, 0.01 * index, delta, "exact", 100) if index < 3 else None,
            ece=SHOWN.error,
            brier=0.2,
            nll=0.3,
            reliability=SHOWN,
        )
        for index in range(4)
    )
    against = "backbone" if accuracy is None else "labels"
    return Evaluation(500, "report", accuracy, 1e6, 0.3, found, against, (SHOWN,) * (exits + 1))


def names(figure: Figure, axes: int = 0) -> list[str]:
    return [str(label) for label in figure.axes[axes].get_legend_handles_labels()[1]]


def surveyed(agreement: bool = True, proposed: Sequence[int] = (6, 2)) -> Survey:
    time = np.array([point.depth**0.5 for point in POINTS])
    return Survey(tuple(POINTS), time, time / 2 if agreement else None, tuple((index, 0.1) for index in proposed))


def test_the_points_show_cost_time_size_and_rank(drawn: list[Figure], tmp_path: Path) -> None:
    found = surveyed()
    points_figure(found, 125_486_000.0, "nets.py:net", tmp_path / "points.png")
    spent, known, probe = drawn[0].axes
    bars = [patch for patch in spent.patches if isinstance(patch, Rectangle)]
    assert [bar.get_height() for bar in bars] == pytest.approx([100 * point.depth for point in POINTS])
    dark = {index for index, bar in enumerate(bars) if bar.get_facecolor() == to_rgba(style.BLUE)}
    assert dark == {6, 2}
    assert {text.get_text(): text.xy[0] for text in spent.texts} == {"1": 6, "2": 2}  # type: ignore[attr-defined]
    np.testing.assert_allclose(np.asarray(spent.lines[0].get_ydata()), 100 * found.time)
    legend = spent.get_legend()
    assert legend is not None
    assert {text.get_text() for text in legend.get_texts()} == {"MACs, proposed", "MACs", "time, measured"}
    assert spent.get_title(loc="left") == "nets.py:net: 10 exit points, 125 MMACs"
    assert [text.get_text() for text in known.get_xticklabels()] == [point.name for point in POINTS]
    np.testing.assert_array_equal(known.lines[0].get_ydata(), [128 * (i + 1) for i in range(10)])
    np.testing.assert_allclose(np.asarray(probe.lines[0].get_ydata()), 50 * found.time)


def test_without_a_probe_or_a_proposal_they_are_not_drawn(drawn: list[Figure], tmp_path: Path) -> None:
    points_figure(surveyed(agreement=False, proposed=()), 1e6, "net", tmp_path / "points.png")
    assert len(drawn[0].axes) == 2
    legend = drawn[0].axes[0].get_legend()
    assert legend is not None
    assert {text.get_text() for text in legend.get_texts()} == {"MACs", "time, measured"}


def test_a_front_without_labels_has_no_accuracy(drawn: list[Figure], tmp_path: Path) -> None:
    front_figure(evaluation(None), ["a", "b", "c", "backbone"], tmp_path / "front.svg")
    assert names(drawn[0]) == ["agreement with the backbone", "certified agreement, at least", "oracle for these heads"]
    assert names(drawn[0], 1) == ["a", "b", "c", "backbone"]
    certified = drawn[0].axes[0].lines[1]
    np.testing.assert_allclose(np.asarray(certified.get_xdata(), float), [60, 80, 100])
    np.testing.assert_allclose(np.asarray(certified.get_ydata(), float), [98, 99, 100])


@pytest.mark.parametrize(("accuracy", "risk"), [(None, "disagreement"), (0.9, "error"), (0.9, "gap")])
def test_bounds_on_the_average_say_so(accuracy: float | None, risk: str, drawn: list[Figure], tmp_path: Path) -> None:
    front_figure(evaluation(accuracy, risk, delta=None), ["a", "b", "c", "backbone"], tmp_path / "front.svg")
    (shown,) = [name for name in names(drawn[0]) if "certified" in name]
    assert shown == f"certified {'agreement' if accuracy is None else 'accuracy'}, at least (on average)"


def test_a_bound_on_the_error_is_drawn_below_the_accuracy_of_the_backbone(drawn: list[Figure], tmp_path: Path) -> None:
    front_figure(evaluation(0.9, "error"), ["a", "b", "c", "backbone"], tmp_path / "front.pdf")
    assert "certified accuracy, at least" in names(drawn[0])
    assert "accuracy of the backbone" in names(drawn[0])
    (certified,) = [line for line in drawn[0].axes[0].lines if line.get_label() == "certified accuracy, at least"]
    np.testing.assert_allclose(np.asarray(certified.get_ydata(), float), [88, 89, 90])


def test_the_shares_fill_each_bar(drawn: list[Figure], tmp_path: Path) -> None:
    front_figure(evaluation(None, exits=12), [*(f"e{i}" for i in range(12)), "backbone"], tmp_path / "front.png")
    bars = drawn[0].axes[1].patches
    assert len(bars) == 13 * 4
    assert sum(bar.get_width() for bar in bars) == pytest.approx(400)  # type: ignore[attr-defined]
    with Image.open(tmp_path / "front.png") as picture:
        assert picture.size == (1650, round(150 * (0.22 * 13 + 1.2))) or picture.size == (1650, 630)


@pytest.mark.parametrize(("accuracy", "label"), [(None, "like the backbone, %"), (0.9, "right, %")])
def test_a_reliability_diagram_for_each_exit_and_one_as_run(
    accuracy: float | None, label: str, drawn: list[Figure], tmp_path: Path
) -> None:
    reliability_figure(evaluation(accuracy, exits=5), [*"abcde", "backbone"], tmp_path / "reliability.png")
    seen = [axes for axes in drawn[0].axes if axes.get_visible()]
    assert len(seen) == 7
    titles = [axes.get_title(loc="left") for axes in seen]
    assert titles == [f"{name}\nECE 9.0 %" for name in (*"abcde", "backbone", "p3, as run")]
    other = evaluation(accuracy, exits=5)
    reliability_figure(other, [*"abcde", "backbone"], tmp_path / "again.png", other.points[1])
    assert drawn[1].axes[6].get_title(loc="left").startswith("p1, as run")
    for axes in seen:
        diagonal, line = axes.lines
        np.testing.assert_array_equal(diagonal.get_ydata(), diagonal.get_xdata())
        np.testing.assert_allclose(np.asarray(line.get_xdata(), float), [40, 70, 95])
        np.testing.assert_allclose(np.asarray(line.get_ydata(), float), [50, 60, 90])
        (dots,) = axes.collections
        sizes = dots.get_sizes()  # type: ignore[attr-defined]
        assert sizes[1] == pytest.approx(3 * sizes[0])
    assert [axes.get_ylabel() for axes in seen if axes.get_ylabel()] == [label] * 2
    with Image.open(tmp_path / "reliability.png") as picture:
        assert picture.size == (round(150 * 10.8), round(150 * 5.7))


@pytest.mark.parametrize("name", ["a.gif", "a", "a.png.txt"])
def test_other_formats_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=rf"\.png, \.svg, \.pdf; got '{name}'"):
        points_figure(surveyed(), 1e6, "net", tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_keeps_the_earlier_figure(tmp_path: Path) -> None:
    (tmp_path / "points.png").write_text("kept")
    with full_disk(1000), pytest.raises(InputError, match=r"cannot write the figure .*points.png.* free space"):
        points_figure(surveyed(), 1e6, "net", tmp_path / "points.png")
    assert [path.name for path in tmp_path.iterdir()] == ["points.png"]
    assert (tmp_path / "points.png").read_text() == "kept"


def test_the_same_figure_is_the_same_file(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        front_figure(evaluation(0.9), ["a", "b", "c", "backbone"], tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_curves_of_hits_show_each_exit_and_its_threshold(drawn: list[Figure], tmp_path: Path) -> None:
    table = random_table(seed=0, samples=400)
    error = random_table(seed=1, samples=400, risk="error").loss
    curves = hit_curves(table, error)
    hits_figure(curves, ["a", "b", "c"], [0.5, None, 0.7], tmp_path / "hits.png")
    effect_figure(curves, ["a", "b", "c"], [0.5, None, 0.7], tmp_path / "effect.pdf")
    rates, effect = drawn
    assert [axes.get_title(loc="left") for axes in rates.axes] == ["a", "b (off)", "c"]
    assert names(rates) == ["hit rate", "hits that agree with the backbone", "hits that are right", "threshold in use"]
    np.testing.assert_allclose(np.asarray(rates.axes[0].lines[0].get_ydata()), 100 * curves[0].hit_rate)
    assert [len(axes.lines) for axes in rates.axes] == [4, 3, 4]
    assert curves[2].effect is not None
    np.testing.assert_allclose(np.asarray(effect.axes[2].lines[1].get_ydata()), 100 * curves[2].effect)
    assert {str(axes.get_xlabel()) for axes in (*rates.axes, *effect.axes)} == {"threshold"}
