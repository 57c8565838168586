import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from tests.cli.world import QUICK as BUILD
from tests.cli.world import World, offramp, refused, snapshot

QUICK = ("--samples", 60, "--grid", 3)


@pytest.fixture(scope="module")
def looked(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An analysis of the bundle beside a copy of it."""
    folder = tmp_path_factory.mktemp("looked")
    twin = shutil.copytree(world.bundle, folder / "twin")
    done = offramp(
        "analyze", world.bundle, *world.net, "--data", world.data, "--out", folder / "out", "--other", twin, *QUICK
    )
    assert done.code == 0, done
    assert "barrier, last exit" in done.out
    assert "0.000" in done.out  # of a network and itself
    assert [line for line in done.progress if line.startswith("gradients")] == ["gradients: done (2)"]
    return folder


def test_every_part_has_a_figure_and_all_numbers_are_in_one_file(looked: Path) -> None:
    out = looked / "out"
    kinds = {"gradients", "ranks", "information", "landscape", "connectivity"}
    assert {path.name for path in out.iterdir()} == {"analysis.json", "work", *(f"{kind}.png" for kind in kinds)}
    found = json.loads((out / "analysis.json").read_text())
    assert set(found["parts"]) == kinds
    assert found["data"]["samples"] == 60
    assert found["data"]["against"] == "labels"
    assert found["machine"]["torch"]
    assert [model["name"] for model in found["models"]] == ["bundle", "twin"]
    (line,) = found["parts"]["connectivity"]["lines"]
    assert line["distance"] == line["barrier"]["last"]["height"] == 0.0


def test_a_second_call_finds_what_is_there_and_prints_it(looked: Path, world: World) -> None:
    before = snapshot(looked / "out")
    asked = ("analyze", world.bundle, *world.net, "--data", world.data, "--out", looked / "out", *QUICK)
    done = offramp(*asked, "--other", looked / "twin", "--json")
    assert done.code == 0, done
    assert json.loads(done.out) == json.loads(before["analysis.json"])
    after = snapshot(looked / "out")
    assert {name for name in after if name.startswith("work/")} == {name for name in before if name.startswith("work/")}


def test_some_parts_as_another_kind_of_figure_without_labels(world: World, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    asked = ("analyze", world.bundle, *world.net, "--data", world.data, "--out", out, *QUICK, "--no-labels")
    done = offramp(*asked, "--parts", "ranks, gradients", "--figures", "svg", "--name", "mine")
    assert done.code == 0, done
    assert {path.name for path in out.iterdir()} == {"analysis.json", "work", "ranks.svg", "gradients.svg"}
    found = json.loads((out / "analysis.json").read_text())
    assert found["models"] == [{"name": "mine", "group": "mine"}]
    assert found["data"]["against"] == "backbone"


def test_others_of_one_name_are_seeds_of_one_regime(world: World, tmp_path: Path) -> None:
    asked = ("analyze", world.bundle, *world.net, "--data", world.data, "--out", tmp_path, *QUICK, "--parts", "ranks")
    done = offramp(*asked, "--name", "a", "--other", f"b={world.bundle}", "--other", f"b={world.bundle}", "--json")
    assert done.code == 0, done
    assert [(model["name"], model["group"]) for model in json.loads(done.out)["models"]] == [
        ("a", "a"),
        ("b", "b"),
        ("b (2)", "b"),
    ]


def test_another_training_may_be_of_other_weights_of_the_model(world: World, tmp_path: Path) -> None:
    """Its weights are those of its build; where they are gone, the model is refused as a foreign one would be."""
    other = tmp_path / "other.safetensors"
    save_file(
        {name: 1.1 * value for name, value in load_file(world.net[2]).items() if value.is_floating_point()}
        | {name: value for name, value in load_file(world.net[2]).items() if not value.is_floating_point()},
        other,
    )
    built = offramp("build", world.net[0], "--weights", other, "--data", world.data, "--out", tmp_path / "b", *BUILD)
    assert built.code == 0, built
    asked = ("analyze", world.bundle, *world.net, "--data", world.data, "--out", tmp_path / "out", *QUICK)
    done = offramp(*asked, "--parts", "connectivity", "--other", tmp_path / "b", "--json")
    assert done.code == 0, done
    (line,) = json.loads(done.out)["parts"]["connectivity"]["lines"]
    assert line["distance"] > 0.0
    other.unlink()
    refused(*asked, "--other", tmp_path / "b", saying="they are gone")


def test_what_cannot_be_done_is_refused_in_one_line(world: World, tmp_path: Path) -> None:
    asked = ("analyze", world.bundle, *world.net, "--data", world.data, "--out", tmp_path / "out")
    refused(*asked, "--parts", "hessian", saying=["expected a part among gradients", "'hessian'"])
    refused(*asked, "--parts", ",", saying="got none")
    refused(
        *asked, "--parts", "connectivity", saying="expected another bundle for connectivity, got none; give --other"
    )
    refused(*asked, "--figures", "gif", saying="expected a kind of figure among .png, .svg, .pdf; got 'gif'")
    refused(*asked, "--other", tmp_path / "nothing", saying="nothing")
    refused(*asked, "--other", "=x", saying="NAME=FOLDER")
    refused(*asked, "--move", "norms", saying="expected --move as one of all, backbone, heads")
    refused(*asked, "--reach", "0", saying="expected a reach above 0")
    (tmp_path / "file").write_text("")
    wrong = (*asked[:-1], tmp_path / "file")
    refused(*wrong, saying="is a file")
    assert not (tmp_path / "out").exists()
