import json
import sys
from pathlib import Path

import pytest

from tests.cli.world import QUICK, World, offramp, refused

LITTLE = """
import torch
from torch import nn


def little():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 4))


def other():
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 9))
"""


@pytest.fixture
def rival(tmp_path: Path) -> str:
    (tmp_path / "little.py").write_text(LITTLE)
    return f"{tmp_path / 'little.py'}:little"


def test_before_a_build_there_is_a_forecast_and_nothing_is_written(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = offramp("advise", *world.net, "--data", world.data, "--max-drop", 0.25, "--batch-sizes", "", "--samples", 200)
    assert ran.code == 0, ran
    assert "before a build: " in ran.out
    assert "not known before a build" in ran.out
    assert list(tmp_path.iterdir()) == []


def test_with_a_bundle_there_is_the_table(world: World, tmp_path: Path, rival: str) -> None:
    files = [tmp_path / name for name in ("a.json", "a.md", "a.png")]
    ran = offramp(
        *("advise", *world.net, "--data", world.data, "--bundle", world.bundle, "--rival", rival, "--no-int8"),
        *("--batch-sizes", "", "--work", tmp_path / "work"),
        *("--out", files[0], "--markdown", files[1], "--figure", files[2]),
    )
    assert ran.code == 0, ran
    assert "45 samples of the report part" in ran.out
    assert "at equal accuracy: " in ran.out
    for name in ("alternative", "balanced", "size", "little > "):
        assert name in ran.out  # though these are more columns than a narrow terminal has
    assert "balanced is of a bundle" not in ran.err
    found = json.loads(files[0].read_text())
    assert found["version"] == 1
    assert {row["kind"] for row in found["table"]["rows"]} == {"plain", "exits", "rival", "cascade"}
    assert found["table"]["race"] is None
    assert found["table"]["verdict"]["word"] in ran.out
    assert "| alternative | point | MACs % |" in files[1].read_text()
    assert files[2].stat().st_size > 1000
    assert "forecast" not in found


def test_a_bundle_for_another_goal_is_said_to_be_one(world: World, tmp_path: Path) -> None:
    command = ("advise", *world.net, "--data", world.data, "--bundle", world.bundle, "--no-int8", "--batch-sizes", "")
    ran = offramp(*command, "--work", tmp_path / "w", "--max-drop", 0.001)
    assert "the points are those of a bundle built for 25 %, not for 0.1 %; build one with --max-drop 0.001" in ran.err
    assert "45 samples of the report part are few" in ran.err


def test_json_is_what_is_written(world: World, tmp_path: Path, rival: str) -> None:
    command = ("advise", *world.net, "--data", world.data, "--rival", rival, "--batch-sizes", "", "--no-labels")
    ran = offramp(*command, "--work", tmp_path / "w", "--out", tmp_path / "a.json", "--json", "--max-drop", 0.25)
    found = json.loads(ran.out)
    assert found == json.loads((tmp_path / "a.json").read_text())
    assert found["forecast"]["verdict"]["word"] in ("build", "may pay", "don't")
    assert found["table"]["accuracy"] is None
    assert found["table"]["equal"] == []


def test_what_is_built_on_the_way_is_used_again(world: World, tmp_path: Path) -> None:
    command = ("advise", *world.net, "--data", world.data, "--build", "--no-int8", "--work", tmp_path / "w")
    options = (*QUICK, "--seed", 1, "--json")
    first = json.loads(offramp(*command, *options).out)
    assert "forecast" in first
    before = (tmp_path / "w" / "exits" / "manifest.json").stat().st_mtime_ns
    again = json.loads(offramp(*command, *options).out)
    assert "forecast" not in again
    assert again["table"]["rows"] == first["table"]["rows"]
    assert (tmp_path / "w" / "exits" / "manifest.json").stat().st_mtime_ns == before


@pytest.mark.slow
def test_times_are_taken_and_the_fastest_back_end_is_named(world: World, tmp_path: Path) -> None:
    command = ("advise", *world.net, "--data", world.data, "--bundle", world.bundle, "--no-int8")
    more = ("--rounds", 2, "--batch-sizes", "1,4", "--backends", "eager,onnx", "--out", tmp_path / "a.json")
    ran = offramp(*command, "--work", tmp_path / "w", *more)
    assert ran.code == 0, ran
    found = json.loads((tmp_path / "a.json").read_text())["table"]
    assert all(set(row["taken"]) == {"1", "4"} for row in found["rows"])
    assert found["race"]["backend"] in ("eager", "onnx")
    assert "the plain model is fastest on " in ran.out


def test_what_does_not_fit_is_refused(world: World, tmp_path: Path, rival: str) -> None:
    command = ("advise", *world.net, "--data", world.data, "--batch-sizes", "", "--work", tmp_path / "w")
    other = rival.replace(":little", ":other")
    refused(*command, "--max-drop", 0.25, "--rival", other, saying="expected a small model with the 4 classes")
    refused(*command, "--rival", f"{rival}={tmp_path / 'none.pt'}", saying="expected a weights file at")
    refused(*command, "--bundle", tmp_path, saying="manifest")
    refused(*command, "--work", tmp_path / "little.py", saying="is a file; choose another place")
    refused(*command, "--figure", tmp_path / "a.txt", saying="expected a figure as")
    refused("advise", *world.net, "--data", world.data, "--task", "regression:0.1", saying="whose answers are classes")
    refused(*command, "--bundle", world.bundle, "--max-drop", 0, saying="max_drop")
    refused(*command, "--max-drop", 0, saying="max_drop")


def test_eight_bits_that_are_asked_for_need_nncf(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    command = ("advise", *world.net, "--data", world.data, "--bundle", world.bundle, "--batch-sizes", "")
    refused(*command, "--int8", "--work", tmp_path / "w", saying="expected the package nncf for quantising a model")
