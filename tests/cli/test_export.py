"""`offramp export`, and what runs the exported stages with ONNX Runtime and NumPy alone."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from offramp import deployed
from offramp.bundle import Bundle
from offramp.errors import BundleError, UnknownNameError
from offramp.load.models import load_model
from tests.cli.world import Ran, World, offramp, refused

SCRIPT = Path(__file__).parents[2] / "docs" / "how-to" / "without_offramp.py"

ALONE = """
import runpy, sys

sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
assert not {"offramp", "torch"} & set(sys.modules)
"""


@pytest.fixture(scope="module")
def exported(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    folder = tmp_path_factory.mktemp("exported") / "stages"
    points = [point for name in ("balanced", "fast", "fastest") for point in ("--point", name)]
    return folder, offramp("export", world.bundle, *world.net, "--out", folder, *points)


def points_of(folder: Path) -> list[str]:
    names: list[str] = list(json.loads((folder / "routing.json").read_text())["points"])
    return names


def test_it_says_what_it_wrote(exported: tuple[Path, Ran]) -> None:
    folder, ran = exported
    assert (ran.code, ran.err) == (0, "")
    assert str(folder) in ran.out
    written = {path.name for path in folder.iterdir()}
    routing = json.loads((folder / "routing.json").read_text())
    assert {stage["file"] for stages in routing["cuts"].values() for stage in stages} == written - {"routing.json"}
    assert routing["inputs"] == [{"name": "input0", "shape": [3, 8, 8], "dtype": "float32"}]


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_exported_stages_answer_as_the_bundle_does(world: World, exported: tuple[Path, Ran], runtime: str) -> None:
    x = world.arrays()[0]
    bundle = Bundle.load(world.bundle)
    live = bundle.use("full", load_model(world.net[0], world.net[-1]).model)
    model = deployed.load(exported[0], runtime=runtime, threads=1)
    some = set()
    for name in points_of(exported[0]):
        expected, found = live.use(name)(torch.from_numpy(x)), model.use(name)(x)
        np.testing.assert_array_equal(found.exit_index, expected.exit_index.numpy())
        np.testing.assert_allclose(found.output, expected.output.numpy(), rtol=1e-3, atol=1e-3)
        some |= set(found.exit_index.tolist())
    assert len(some) > 1


def test_a_script_of_some_thirty_lines_answers_the_same(
    world: World, exported: tuple[Path, Ran], tmp_path: Path
) -> None:
    assert len([line for line in SCRIPT.read_text().splitlines() if line.strip()]) < 40
    np.savez(tmp_path / "x.npz", input0=world.arrays()[0])
    for name in points_of(exported[0]):
        arguments = [sys.executable, "-c", ALONE, str(SCRIPT), str(exported[0]), name, str(tmp_path / "x.npz")]
        said = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout
        answer, exits = np.loadtxt(io.StringIO(said), dtype=int).T
        found = deployed.load(exported[0], name)(world.arrays()[0])
        np.testing.assert_array_equal(exits, found.exit_index)
        np.testing.assert_array_equal(answer, found.output.argmax(1))


def test_bad_folders_and_names_are_refused(world: World, exported: tuple[Path, Ran], tmp_path: Path) -> None:
    refused("export", world.bundle, *world.net, "--out", exported[0], saying=["expected an empty folder"])
    refused(
        "export", world.bundle, *world.net, "--out", tmp_path / "a", "--point", "no", saying=["operating point", "'no'"]
    )
    assert not (tmp_path / "a").exists()
    with pytest.raises(BundleError, match="a folder that offramp export wrote"):
        deployed.load(tmp_path)
    with pytest.raises(UnknownNameError, match="runtime"):
        deployed.load(exported[0], runtime="tensorrt")
    (tmp_path / "routing.json").write_text('{"version": 2}')
    with pytest.raises(BundleError, match="of version 1, got 2"):
        deployed.load(tmp_path)


def test_openvino_files_answer_as_onnx_files_do(world: World, exported: tuple[Path, Ran], tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    folder = tmp_path / "ir"
    ran = offramp("export", world.bundle, *world.net, "--out", folder, "--format", "openvino", "--point", "fastest")
    assert ran.code == 0, ran
    kinds = {path.suffix for path in folder.iterdir()}
    assert kinds == {".xml", ".bin", ".json"}
    x = world.arrays()[0][:50]
    one = deployed.load(folder, runtime="openvino", threads=1)(x)
    name = json.loads((folder / "routing.json").read_text())["points"].popitem()[0]
    other = deployed.load(exported[0], name, runtime="openvino", threads=1)(x)
    np.testing.assert_array_equal(one.exit_index, other.exit_index)
    np.testing.assert_allclose(one.output, other.output, rtol=1e-4, atol=1e-5)
    with pytest.raises(BundleError, match="OpenVINO"):
        deployed.load(folder, runtime="onnx")
    asked = ["export", world.bundle, *world.net, "--out", tmp_path / "no", "--format", "tf"]
    refused(*asked, saying=["format among onnx, openvino"])
