"""Exported stages of a quantised model: integer kernels say what the model says in floats, up to a few steps."""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from offramp.calibrate.calibrator import Calibrator
from offramp.gates.gate import Gate
from offramp.inputs import Inputs
from offramp.load.quantised import quantised
from offramp.model.multi_exit import MultiExit
from offramp.run.executor import Said
from offramp.run.routing import StageFile
from offramp.testing.executors import Make
from offramp.testing.models import CNN, attached
from tests.run import test_exported as floats
from tests.toys import source

pytest.importorskip("nncf")
onnx = pytest.importorskip("onnx")


@cache
def live() -> MultiExit:
    return attached(quantised(CNN.model(), source(CNN, 64)), CNN.inputs(2), ("grid-linear", "pooled-mlp"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stages")


class EightBits(floats.Exported):
    """One quantised toy; what is rounded at a cut is handed on as integers."""

    tolerance = 0.1

    def cases(self, batch: int = 6) -> Iterator[tuple[MultiExit, Inputs]]:
        yield live(), CNN.inputs(batch)

    def exported(
        self, folder: Path, live: MultiExit, gate: Gate, calibrators: Sequence[Calibrator]
    ) -> tuple[Path, tuple[StageFile, ...], StageFile]:
        from offramp.run.boundaries import narrow

        into, files, uncut = super().exported(folder, live, gate, calibrators)
        if not any("_zero" in name for name in constants(into / files[-1].file)):
            assert narrow(files, into) > 2
        return into, files, uncut

    def test_stages_round(self, make: Make, folder: Path) -> None:
        """Every stage has what integer kernels are made of, and weights of one byte."""
        self.live(make, live())
        for file in (folder / "ResidualCNN").glob("*.onnx"):
            model = onnx.load(file)
            assert "QuantizeLinear" in {node.op_type for node in model.graph.node}
            weights = [one for one in model.graph.initializer if len(one.dims) == 4]
            assert weights
            assert {one.data_type for one in weights} == {onnx.TensorProto.INT8}

    def test_nearly_all_decisions_are_those_of_the_model(self, make: Make) -> None:
        """Classes and scores of all exits on many samples, on which single roundings differ."""
        model, inputs = live(), CNN.inputs(256, 9)
        executor, stops = self.live(make, model)
        found: list[Said] = []
        last = executor.drive(inputs, lambda place, say: found.extend(say(exit_) for exit_ in stops[place]))
        assert last is not None
        for said, expected in zip([*found, last], self.truth(model, inputs), strict=True):
            assert (said.logits.argmax(1) == expected.logits.argmax(1)).mean() > 0.97
            assert np.abs(said.score - expected.score).mean() < 0.01


def constants(path: Path) -> list[str]:
    return [one.name for one in onnx.load(path).graph.initializer]


class TestOnnxRuntime(EightBits, floats.TestOnnxRuntime):
    pass


class TestOpenVino(EightBits, floats.TestOpenVino):
    pass
