import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from offramp.load.models import load_model
from tests.cli.world import World, full_disk, offramp, refused


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_full_writes_the_plain_models_answers_in_order(world: World, tmp_path: Path) -> None:
    out = tmp_path / "new" / "p.csv"
    result = offramp("run", world.bundle, *world.net, "--data", world.data, "--point", "full", "--out", out)
    assert result.code == 0
    assert result.err == ""
    assert result.out == f"300 predictions: {out}\n"
    with torch.no_grad():
        logits = load_model(world.net[0], world.net[2]).model(torch.from_numpy(world.arrays()[0]))
    found = rows(out)
    assert list(found[0]) == ["index", "prediction", "exit_index", "exit", "score"]
    assert [int(row["index"]) for row in found] == list(range(300))
    assert [int(row["prediction"]) for row in found] == logits.argmax(1).tolist()
    assert {row["exit"] for row in found} == {"backbone"}
    scores = np.array([float(row["score"]) for row in found])
    np.testing.assert_allclose(scores, logits.softmax(1).amax(1).numpy(), atol=1e-4)


@pytest.mark.parametrize("size", [1, 7, 300])
def test_the_batch_size_changes_nothing(world: World, tmp_path: Path, size: int) -> None:
    arguments = ["run", world.bundle, *world.net, "--data", world.data, "--point", "fastest"]
    assert offramp(*arguments, "--out", tmp_path / "a.csv").code == 0
    assert offramp(*arguments, "--out", tmp_path / "b.csv", "--batch-size", size).code == 0
    first, second = rows(tmp_path / "a.csv"), rows(tmp_path / "b.csv")
    names = {exit_["point"] + "/" + exit_["head"] for exit_ in manifest(world)["exits"]} | {"backbone"}
    assert {row["exit"] for row in first} <= names
    assert [row["prediction"] for row in first] == [row["prediction"] for row in second]
    assert [row["exit"] for row in first] == [row["exit"] for row in second]


@pytest.mark.parametrize("flags", [[], ["--max-wait", "0"], ["--batch-size", "7"]])
def test_throughput_gives_the_same_lines(world: World, tmp_path: Path, flags: list[str]) -> None:
    arguments = ["run", world.bundle, *world.net, "--data", world.data, "--point", "fastest"]
    assert offramp(*arguments, "--out", tmp_path / "a.csv").code == 0
    assert offramp(*arguments, "--mode", "throughput", "--out", tmp_path / "b.csv", *flags).code == 0
    first, second = rows(tmp_path / "a.csv"), rows(tmp_path / "b.csv")
    assert len({row["exit"] for row in first}) > 1
    for one, other in zip(first, second, strict=True):
        assert {**one, "score": ""} == {**other, "score": ""}
        assert float(one["score"]) == pytest.approx(float(other["score"]), abs=1e-5)


def manifest(world: World) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = json.loads((world.bundle / "manifest.json").read_text())
    return found


def test_balanced_always_works(world: World, tmp_path: Path) -> None:
    arguments = ["run", world.bundle, *world.net, "--data", world.data, "--out", tmp_path / "p.csv"]
    assert offramp(*arguments).code == 0


@pytest.mark.parametrize(
    ("out", "flags", "saying"),
    [
        ("file/p.csv", [], ["p.csv", "is a file; choose another place"]),
        ("folder", [], ["got the folder", "add a name"]),
        ("p.csv", ["--point", "quick"], ["expected an operating point among full", "'quick'"]),
        ("p.csv", ["--batch-size", "0"], "'--batch-size'"),
        ("p.csv", ["--data", "x.xyz"], "x.xyz"),
    ],
)
def test_bad_wishes_are_refused(
    world: World, tmp_path: Path, out: str, flags: list[str], saying: str | list[str]
) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "p.csv").write_text("kept")
    (tmp_path / "folder").mkdir()
    refused("run", world.bundle, *world.net, "--data", world.data, "--out", tmp_path / out, *flags, saying=saying)
    assert (tmp_path / "file").read_text() == (tmp_path / "p.csv").read_text() == "kept"
    assert not list(tmp_path.rglob("*.part"))


def test_a_full_disk_keeps_the_earlier_predictions(world: World, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("kept")
    with full_disk(2000):
        arguments = ["run", world.bundle, *world.net, "--data", world.data, "--out", tmp_path / "p.csv"]
        refused(*arguments, saying=["cannot write", "p.csv", "free space"])
    assert (tmp_path / "p.csv").read_text() == "kept"
    assert not list(tmp_path.rglob("*.part"))


def test_the_output_must_be_named(world: World) -> None:
    refused("run", world.bundle, *world.net, "--data", world.data, saying=["'--out'", "see offramp run --help"])
