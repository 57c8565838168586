import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.world import World, offramp, refused, snapshot


@pytest.mark.parametrize("given", [["--input", "1x3x8x8"], ["--data"]])
def test_json_lists_the_points(world: World, given: list[str]) -> None:
    result = offramp("inspect", *world.net, *given, *([world.data] if given == ["--data"] else []), "--json")
    found = json.loads(result.out)
    assert result.code == 0
    assert result.err == ""
    assert found["model"] == world.net[0]
    assert [point["name"] for point in found["points"]] == ["b1.2", "b2.2", "b3.2"]
    assert [point["index"] for point in found["points"]] == [0, 1, 2]
    assert [point["feature_shape"] for point in found["points"]] == [[8, 8, 8], [16, 4, 4], [24, 4, 4]]
    assert all(set(point) == {"name", "index", "depth", "feature_shape", "side_values"} for point in found["points"])


def test_json_proposes_points_with_reasons(world: World) -> None:
    found = json.loads(offramp("inspect", *world.net, "--input", "1x3x8x8", "--json").out)
    names = [point["name"] for point in found["points"]]
    assert 1 <= len(found["proposed"]) <= 3
    for one in found["proposed"]:
        assert one["name"] in names
        assert 0 < one["gain"] < 1
        assert 0 < one["time"] < 1
        assert one["agreement"] is None
        assert "points of the time more with it (guessed" in one["reason"]


def test_data_is_probed(world: World) -> None:
    found = json.loads(offramp("inspect", *world.net, "--data", world.data, "--json").out)
    assert all(0 <= one["agreement"] <= 1 for one in found["proposed"])
    assert "probe" in offramp("inspect", *world.net, "--data", world.data).out


@pytest.mark.parametrize("point", ["b2.2", "1"])
def test_a_point_is_explained_in_words(world: World, point: str) -> None:
    result = offramp("inspect", *world.net, "--input", "1x3x8x8", "--explain", point)
    assert result.code == 0
    assert result.out.startswith("b2.2: ")
    assert "256 numbers" in result.out
    assert result.out.count("\n") <= 1
    refused("inspect", *world.net, "--input", "1x3x8x8", "--explain", "b9", saying=["b1.2, b2.2, b3.2", "'b9'"])


def test_the_depth_is_the_share_of_the_macs(world: World) -> None:
    macs = np.cumsum([64 * 27 * 8, 16 * 72 * 16, 16 * 144 * 24, 16 * 216 * 24 + 96])
    found = json.loads(offramp("inspect", *world.net, "--input", "1x3x8x8", "--json").out)
    depths = [point["depth"] for point in found["points"]]
    assert depths == pytest.approx((macs[:3] / macs[3]).tolist())


@pytest.mark.parametrize("columns", ["60", "80", "120"])
def test_the_table_fits_the_terminal(world: World, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    result = offramp("inspect", *world.net, "--input", "1x3x8x8")
    table = [line for line in result.out.splitlines() if "│" in line]
    assert len(table) == 3
    assert max(map(len, table)) <= int(columns)
    assert "8.1 % " in table[0]
    assert "side" not in result.out


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_draws_a_figure_beside_the_json(world: World, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / "new" / f"points.{suffix}"
    result = offramp("inspect", *world.net, "--input", "1x3x8x8", "--json", "--figure", file)
    assert json.loads(result.out)
    assert result.err == f"figure: {file}"
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    if suffix == "png":
        with Image.open(file) as picture:
            assert picture.size[0] >= 600


def test_pictures_are_preprocessed_as_the_flags_say(world: World, tmp_path: Path) -> None:
    np.savez(tmp_path / "grey.npz", x=np.zeros((4, 12, 12, 1), np.uint8))
    flags = ["--mean", "0.5", "--std", "0.25", "--size", "8", "--channels", "1"]
    model = f"{world.folder / 'net.py'}:grey"
    assert offramp("inspect", model, "--data", tmp_path / "grey.npz", *flags).code == 0
    refused("inspect", model, "--data", tmp_path / "grey.npz", *flags[:-2], saying=["takes, got (3, 8, 8)", "grey.npz"])


@pytest.mark.parametrize(
    ("arguments", "saying"),
    [
        ([], ["expected inputs to trace", "--input 1x3x224x224 or --data"]),
        (["--input", "1x2x8x8"], ["expected inputs that Net takes, got (2, 8, 8) float32", "--input", "channels"]),
        (["--input", "1x3"], ["takes, got (3,) float32"]),
        (["--input", "0x3x8x8"], ["--input", "'0x3x8x8'"]),
        (["--input", "1x3x-8x8"], ["--input", "at least 1"]),
        (["--input", "1,3,8,8"], ["--input", "1x3x224x224", "'1,3,8,8'"]),
        (["--input", "8"], "--input"),
        (["--data", "nowhere.npz"], ["expected data at 'nowhere.npz'", "check the path"]),
        (["--data", "DATA", "--input", "1x3x8x8"], "either --input or --data"),
        (["--data", "DATA", "--mean", "a"], ["--mean", "'a'"]),
        (["--data", "DATA", "--mean", "nan"], ["--mean", "'nan'"]),
        (["--data", "DATA", "--std", "0"], "std above 0"),
        (["--data", "DATA", "--size", "8x8x8"], ["--size", "224x224"]),
        (["--data", "DATA", "--size", "0x8"], ["--size", "at least 1"]),
        (["--data", "DATA", "--channels", "2"], "channels 1 or 3, got 2"),
    ],
)
def test_bad_input_is_refused(world: World, arguments: list[str], saying: str | list[str]) -> None:
    refused("inspect", *world.net, *(world.data if a == "DATA" else a for a in arguments), saying=saying)


@pytest.mark.parametrize(
    ("model", "saying"),
    [
        ("net.py:nett", ["function of", "net, grey, counted", "'nett'"]),
        ("net.py:broken", ["raised RuntimeError: the factory is broken"]),
        ("none.py:net", "no such file"),
        ("timm:resnet51", ["expected a timm model", "near it", "resnet50"]),
        ("torchvision:resnet51", ["expected a torchvision model", "near it", "resnet50"]),
        ("tim:resnet50", "did you mean timm:resnet50?"),
        ("resnet50", ["timm:NAME", "FILE.py:FACTORY"]),
    ],
)
def test_an_unknown_model_is_refused_with_near_names(world: World, model: str, saying: str | list[str]) -> None:
    spec = f"{world.folder / model}" if ".py" in model else model
    refused("inspect", spec, "--input", "1x3x8x8", saying=saying)


def test_a_figure_that_cannot_be_is_refused_before_the_work(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder.png").mkdir()
    before = snapshot(tmp_path)
    for name, saying in (
        ("points.gif", ".png, .svg, .pdf; got 'points.gif'"),
        ("points", "got 'points'"),
        ("file/points.png", "is a file; choose another place"),
        ("folder.png", "got the folder"),
    ):
        refused("inspect", "none.py:never_loaded", "--figure", tmp_path / name, saying=saying)
    assert snapshot(tmp_path) == before
