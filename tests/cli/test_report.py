from pathlib import Path

import numpy as np
import pytest

from tests.cli.world import World, offramp, refused


def test_a_report_is_written_with_its_figures_and_a_summary(world: World, tmp_path: Path) -> None:
    out, names = tmp_path / "report.html", tmp_path / "names.txt"
    names.write_text("ash\nbirch\ncedar\ndogwood\n")
    flags = ["--backends", "", "--no-memory", "--class-names", names, "--point", "fastest", "--title", "Trees"]
    more = ["--figures", tmp_path / "figures", "--formats", "svg", "--markdown", tmp_path / "summary.md"]
    result = offramp("report", world.bundle, *world.net, "--data", world.data, "--out", out, *flags, *more)
    assert result.code == 0, result
    text = out.read_text()
    assert "<title>Trees</title>" in text
    assert "cedar" in text
    assert "45 samples of the report part" in text
    assert "What leaves where, at fastest" in text
    assert {file.name for file in (tmp_path / "figures").iterdir()} == {
        f"{name}.svg" for name in ("front", "hits", "effect", "reliability")
    }
    assert (tmp_path / "summary.md").read_text().startswith("# Early exits of")


@pytest.mark.slow
def test_times_and_memory_are_measured(world: World, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    flags = ["--rounds", "4", "--batch-sizes", "2"]
    result = offramp("report", world.bundle, *world.net, "--data", world.data, "--out", out, *flags)
    assert result.code == 0, result
    text = out.read_text()
    assert "Time against batch size" in text
    assert "peak RSS" in text


def test_without_labels_nothing_is_said_of_accuracy(world: World, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=world.arrays()[0])
    out = tmp_path / "r.html"
    command = ["report", world.bundle, *world.net, "--data", tmp_path / "x.npz", "--out", out]
    assert offramp(*command, "--backends", "", "--no-memory").code == 0
    assert "accuracy, %" not in out.read_text()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--point", "quick"], "operating point"),
        (["--formats", "gif"], "expected a kind of figure among .png, .svg, .pdf; got 'gif'"),
        (["--backends", "abacus"], "abacus"),
        (["--figures", "{unlabelled}"], "is a file"),
        (["--class-names", "nowhere.txt"], "names of classes"),
        (["--labels", "--data", "{unlabelled}"], "labels"),
    ],
)
def test_wrong_wishes_are_refused_and_nothing_is_written(
    world: World, tmp_path: Path, flags: list[str], words: str
) -> None:
    np.savez(tmp_path / "x.npz", x=world.arrays()[0])
    flags = [flag.format(unlabelled=tmp_path / "x.npz") for flag in flags]
    data = [] if "--data" in flags else ["--data", world.data]
    out = tmp_path / "r.html"
    refused("report", world.bundle, *world.net, *data, "--out", out, "--no-memory", *flags, saying=words)
    assert not out.exists()


def test_a_folder_is_no_page(world: World, tmp_path: Path) -> None:
    refused("report", world.bundle, *world.net, "--data", world.data, "--out", tmp_path, saying="the folder")
