"""`offramp quantise`, and what the other commands do with what it writes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from offramp import deployed
from offramp.bundle import Bundle
from offramp.errors import InputError
from offramp.load.models import load_model
from offramp.load.quantised import agreement
from offramp.run.routing import Routing
from tests.cli.world import QUICK, Ran, World, offramp, refused

pytest.importorskip("nncf")
onnx = pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def eight_bits(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    out = tmp_path_factory.mktemp("quantised") / "int8.safetensors"
    return out, offramp("quantise", *world.net, "--data", world.data, "--samples", "64", "--out", out)


def test_it_says_how_often_the_answers_are_as_before(world: World, eight_bits: tuple[Path, Ran]) -> None:
    out, ran = eight_bits
    assert (ran.code, ran.err) == (0, "")
    one, other = load_model(world.net[0], world.net[-1]).model, load_model(world.net[0], out).model
    share, count = agreement(one, other, world.data, samples=64)
    assert ran.out == f"answers as before to {share:.1%} of {count} inputs: {out}\n"
    assert 0.7 < share < 1


def test_a_bundle_of_it_is_left_evaluated_and_exported_like_any_other(
    world: World, eight_bits: tuple[Path, Ran], tmp_path: Path
) -> None:
    net = [world.net[0], "--weights", str(eight_bits[0])]
    built = offramp("build", *net, "--data", world.data, "--out", tmp_path / "bundle", *QUICK)
    assert built.code == 0, built
    evaluated = offramp("evaluate", tmp_path / "bundle", *net, "--data", world.data, "--batch-sizes", "", "--json")
    assert evaluated.code == 0, evaluated
    assert json.loads(evaluated.out)["points"]
    exported = offramp("export", tmp_path / "bundle", *net, "--out", tmp_path / "stages", "--point", "fastest")
    assert exported.code == 0, exported
    for file in (tmp_path / "stages").glob("*.onnx"):
        assert "QuantizeLinear" in {node.op_type for node in onnx.load(file).graph.node}
    assert exported.err == ""
    live = Bundle.load(tmp_path / "bundle").use("fastest", load_model(net[0], net[-1]).model)
    x = world.arrays()[0]
    expected = live(torch.from_numpy(x))
    for runtime in ("onnx", "openvino"):
        found = deployed.load(tmp_path / "stages", "fastest", runtime=runtime, threads=1)(x)
        assert (found.exit_index == expected.exit_index.numpy()).mean() > 0.95
        assert (found.output.argmax(1) == expected.output.numpy().argmax(1)).mean() > 0.95
    routing = Routing.read(tmp_path / "stages")
    assert routing.unfit == {}
    replace(routing, unfit={"openvino": "cut0-1.onnx is off"}).write(tmp_path / "stages")
    assert deployed.load(tmp_path / "stages", runtime="onnx")(x[:2]).output.shape == (2, 4)
    with pytest.raises(InputError, match=r"openvino runs, but cut0-1\.onnx is off; run them in onnx"):
        deployed.load(tmp_path / "stages", runtime="openvino")(x[:2])


def test_a_bundle_of_the_model_in_floats_refuses_it(world: World, eight_bits: tuple[Path, Ran], tmp_path: Path) -> None:
    arguments = [world.net[0], "--weights", eight_bits[0], "--data", world.data, "--out", tmp_path / "a.csv"]
    refused("run", world.bundle, *arguments, saying="with fingerprint")


def test_what_cannot_be_done_is_refused(world: World, eight_bits: tuple[Path, Ran], tmp_path: Path) -> None:
    data = ["--data", world.data]
    refused("quantise", *world.net, *data, "--out", tmp_path / "a.pt", saying=["ends in .safetensors", "a.pt"])
    net = [world.net[0], "--weights", eight_bits[0]]
    refused("quantise", *net, *data, "--out", tmp_path / "a.safetensors", saying="use it as it is")
    (tmp_path / "file").write_text("")
    refused("quantise", *world.net, *data, "--out", tmp_path / "file" / "a.safetensors", saying="file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
