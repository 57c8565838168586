from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from offramp.calibrate.identity import Identity
from offramp.gates.max_prob import MaxProb
from offramp.inputs import leaves
from offramp.load.quantised import quantised
from offramp.run.loop import stops_of
from offramp.run.routing import StageFile
from offramp.run.stage import stages
from offramp.testing.models import CNN, MLP, Toy, attached
from tests.toys import logits_of, source

ir = pytest.importorskip("onnx_ir")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


class Pooling(nn.Module):
    """Pools between what rounds and the end of the first block."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.second = nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU())
        self.last = nn.Linear(8 * 16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.last(self.second(self.first(x)).flatten(1))
        return found


POOLING = Toy("pooling", Pooling, CNN.draw)


def exported(toy: Toy, folder: Path, eight_bits: bool = True) -> tuple[StageFile, ...]:
    """All stages of a toy, cut at all of its points."""
    from offramp.run import onnx_files

    model = quantised(toy.model(), source(toy, 64)) if eight_bits else toy.model()
    live = attached(model, toy.inputs(2), ("pooled-linear",))
    everyone = (True,) * len(live.exits)
    made = stages(live, logits_of, MaxProb(), [Identity()] * len(live.exits), everyone)
    exits = (*stops_of(everyone, live.point_of), (len(live.exits),))
    return onnx_files.export(made, exits, live.backbone.model, live.backbone.example, folder, "cut")


def said(files: Sequence[StageFile], folder: Path, inputs: tuple[torch.Tensor, ...]) -> list[np.ndarray]:
    """All logits, by ONNX Runtime, told to change nothing."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    state, found = [tensor.numpy() for tensor in inputs], []
    for file in files:
        onnx.checker.check_model(folder / file.file)
        session = onnxruntime.InferenceSession(folder / file.file, options, providers=["CPUExecutionProvider"])
        given = dict(zip(file.inputs, state, strict=True))
        answers = session.run(file.outputs, {one.name: given[one.name] for one in session.get_inputs()})
        state, rest = answers[: len(file.state)], answers[len(file.state) :]
        found += rest[::2]
    return found


def types_of(folder: Path, file: StageFile) -> tuple[list[str], list[str]]:
    """The types of a stage's inputs and of its next state."""
    graph = ir.load(folder / file.file).graph
    return [str(value.dtype) for value in graph.inputs], [str(value.dtype) for value in graph.outputs][
        : len(file.state)
    ]


@pytest.mark.parametrize(("toy", "floats"), [(CNN, 1), (MLP, 0), (POOLING, 0)], ids=["cnn", "mlp", "pooling"])
def test_rounded_states_travel_as_integers_and_nothing_changes(toy: Toy, floats: int, tmp_path: Path) -> None:
    """What rounds after the first norm of the CNN is in no module of it, so that it is cut before."""
    from offramp.run.boundaries import narrow

    pytest.importorskip("nncf")
    files = exported(toy, tmp_path)
    before = said(files, tmp_path, leaves(toy.inputs(6)))
    assert narrow(files, tmp_path) == len(files) - 1 - floats > 0
    after = said(files, tmp_path, leaves(toy.inputs(6)))
    for one, other in zip(after, before, strict=True):
        np.testing.assert_array_equal(one, other)
    for place, (first, second) in enumerate(pairwise(files)):
        expected = ["FLOAT"] if place < floats else ["UINT8"]
        assert types_of(tmp_path, first)[1] == types_of(tmp_path, second)[0] == expected


def test_a_model_that_does_not_round_hands_on_floats(tmp_path: Path) -> None:
    from offramp.run.boundaries import narrow

    files = exported(MLP, tmp_path, eight_bits=False)
    assert narrow(files, tmp_path) == 0
    assert types_of(tmp_path, files[0])[1] == ["FLOAT"]


def test_a_state_that_only_passes_through_is_carried_on(tmp_path: Path) -> None:
    """Three stages by hand; the second hands on what it was given beside its own result."""
    from offramp.run.boundaries import narrow

    def stage(name: str, inputs: list[str], body: str, outputs: list[str]) -> StageFile:
        def sides(names: list[str]) -> str:
            return ", ".join(f"float[N, 3] {one}" for one in names)

        text = f"""<ir_version: 9, opset_import: ["" : 19]>
        {name} ({sides(inputs)}) => ({sides(outputs)})
        <float scale = {{0.25}}, uint8 zero = {{7}}> {{ {body} }}"""
        onnx.save(onnx.parser.parse_model(text), tmp_path / f"{name}.onnx")
        state = tuple(one for one in outputs if one != "said")
        return StageFile(f"{name}.onnx", tuple(inputs), state, (0,), ("said",), ("said",))

    rounding = "whole = QuantizeLinear({x}, scale, zero)  {y} = DequantizeLinear(whole, scale, zero)"
    files = [
        stage("a", ["x"], rounding.format(x="x", y="s1") + "  said = Relu(s1)", ["s1", "said"]),
        stage("b", ["s1"], "s2 = Sin(s1)  s3 = Identity(s1)  said = Neg(s1)", ["s2", "s3", "said"]),
        stage("c", ["s2", "s3"], "said = Add(s2, s3)", ["said"]),
    ]
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    before = said(files, tmp_path, (x,))
    assert narrow(files, tmp_path) == 2
    for one, other in zip(said(files, tmp_path, (x,)), before, strict=True):
        np.testing.assert_array_equal(one, other)
    assert types_of(tmp_path, files[1]) == (["UINT8"], ["FLOAT", "UINT8"])
    assert types_of(tmp_path, files[2])[0] == ["FLOAT", "UINT8"]
