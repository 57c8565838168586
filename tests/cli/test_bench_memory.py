"""`offramp bench memory`, on real processes."""

import json
import re
from pathlib import Path

import pytest

from offramp.bundle import Bundle
from offramp.load.models import load_model
from tests.cli.world import Ran, World, offramp, refused


@pytest.fixture(scope="module")
def measured(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    out = tmp_path_factory.mktemp("memory") / "new" / "memory.json"
    asked = ["--data", world.data, "--backends", "eager,onnx", "--batch-sizes", "8", "--samples", "20", "--out", out]
    return out, offramp("bench", "memory", world.bundle, *world.net, *asked, "--point", "fastest")


def test_the_file_has_a_row_for_each_back_end_and_point(world: World, measured: tuple[Path, Ran]) -> None:
    found = json.loads(measured[0].read_text())
    rows = {(row["backend"], row["point"]): row for row in found["rows"]}
    bundle = Bundle.load(world.bundle)
    name = bundle.point("fastest").name
    assert list(rows) == [(backend, point) for backend in ("eager", "onnx") for point in ("uncut", name)]
    assert (found["threads"], found["samples"]) == (1, {"8": 16})
    assert found["machine"]["offramp"]
    assert found["machine"]["processor"]
    for row in rows.values():
        assert row["batch"] == 8
        assert 0 < row["imported_rss_bytes"] <= row["loaded_rss_bytes"] <= row["peak_rss_bytes"] < 10**10
    state = load_model(world.net[0], world.net[2]).model.state_dict().values()
    assert rows["eager", "uncut"]["model_bytes"] == sum(tensor.nbytes for tensor in state)
    assert rows["eager", "uncut"]["head_bytes"] == 0
    assert 0 < rows["eager", name]["head_bytes"] <= sum(tensor.nbytes for tensor in bundle.heads.values())
    assert rows["onnx", name]["model_bytes"] > 0
    assert rows["onnx", name]["head_bytes"] is None


def test_leaving_early_allocates_less(world: World, measured: tuple[Path, Ran]) -> None:
    rows = json.loads(measured[0].read_text())["rows"]
    uncut, early, *exported = [row["allocated_bytes_per_sample"] for row in rows]
    assert 0 < early < uncut
    assert exported == [None, None]


def test_the_table_says_what_cannot_be_seen(measured: tuple[Path, Ran]) -> None:
    ran = measured[1]
    assert (ran.code, ran.err) == (0, "")
    assert ran.progress == ("exporting: done (2)", "measuring memory: done (4)")
    lines = ran.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert re.search(r"^eager +8 +uncut .* 0 B .* 100 % +\d+ / \d+ / \d+$", ran.out, re.MULTILINE)
    assert re.search(r"^onnx +8 +uncut +\S+ [kM]B +- +- +- +\d+ / \d+ / \d+$", ran.out, re.MULTILINE)
    assert "allocated: not shown by onnx, where heads" in ran.out


def test_json_for_machines(world: World) -> None:
    asked = ["--data", world.data, "--batch-sizes", "4", "--samples", "1", "--point", "full", "--json"]
    ran = offramp("bench", "memory", world.bundle, *world.net, *asked)
    assert ran.code == 0
    assert [row["point"] for row in json.loads(ran.out)["rows"]] == ["uncut", "full"]


def test_the_help_shows_each_example_on_its_own_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = offramp("bench", "memory", "--help").out
    assert max(map(len, said.splitlines())) <= 80
    assert len(re.findall(r"^ *offramp bench memory .*--data", said, re.MULTILINE)) == 2


@pytest.mark.parametrize(
    ("flags", "saying"),
    [
        (["--backends", "cuda-graphs"], ["back end for memory among eager, onnx, openvino", "'cuda-graphs'"]),
        (["--batch-sizes", ""], "expected at least one batch size"),
        (["--point", "nowhere"], ["operating point", "'nowhere'"]),
    ],
)
def test_wrong_wishes_are_refused_before_anything_is_run(world: World, flags: list[str], saying: list[str]) -> None:
    refused("bench", "memory", world.bundle, *world.net, "--data", world.data, *flags, saying=saying)


def test_a_folder_cannot_be_written_to_as_a_file(world: World, tmp_path: Path) -> None:
    arguments = ["--data", world.data, "--out", tmp_path]
    refused("bench", "memory", world.bundle, *world.net, *arguments, saying="expected the name of a file to write")
