"""Exported stages in the runtimes that people deploy: they say what the model says, decision by decision."""

import runpy
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from offramp.calibrate.calibrator import Calibrator
from offramp.gates.gate import Gate
from offramp.gates.max_prob import MaxProb
from offramp.inputs import Inputs, leaves
from offramp.model.multi_exit import MultiExit
from offramp.run import onnx_files
from offramp.run.executor import Executor
from offramp.run.loop import Plan, run, stops_of
from offramp.run.routing import StageFile
from offramp.run.stage import stages, uncut_stage
from offramp.testing.executors import ExecutorSuite, Make
from offramp.testing.models import CLICKS, CNN, TEXT, attached
from offramp.types import Configuration
from tests.toys import logits_of

onnxruntime = pytest.importorskip("onnxruntime")


@cache
def made(name: str) -> MultiExit:
    toy = {toy.name: toy for toy in (CNN, TEXT, CLICKS)}[name]
    return attached(toy.model(), toy.inputs(2), ("grid-linear", "pooled-mlp"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stages")


class Exported(ExecutorSuite):
    """Each toy is exported once."""

    def cases(self, batch: int = 6) -> Iterator[tuple[MultiExit, Inputs]]:
        for toy in (CNN, TEXT, CLICKS):
            yield made(toy.name), toy.inputs(batch)

    def exported(
        self, folder: Path, live: MultiExit, gate: Gate, calibrators: Sequence[Calibrator]
    ) -> tuple[Path, tuple[StageFile, ...], StageFile]:
        into = folder / type(live.backbone.model).__name__
        everyone, last = (True,) * len(live.exits), len(live.exits)
        known = _written.get(into)
        if known is None:
            backbone = live.backbone
            cut = stages(live, logits_of, gate, calibrators, everyone)
            exits = (*stops_of(everyone, live.point_of), (last,))
            files = onnx_files.export(cut, exits, backbone.model, backbone.example, into, "cut")
            plain = uncut_stage(live, logits_of, gate)
            (uncut,) = onnx_files.export([plain], [(last,)], backbone.model, backbone.example, into, "uncut")
            known = _written[into] = (files, uncut)
        return into, *known


_written: dict[Path, tuple[tuple[StageFile, ...], StageFile]] = {}


class Numbers:
    """The executor, given NumPy instead of tensors."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.drive = lambda inputs, stop: executor.drive(_numbers(inputs), stop)
        self.whole = lambda inputs: executor.whole(_numbers(inputs))
        self.samples = lambda inputs: executor.samples(_numbers(inputs))


def _numbers(inputs: Inputs) -> object:
    if isinstance(inputs, dict):
        return {name: tensor.numpy() for name, tensor in inputs.items()}
    return tuple(tensor.numpy() for tensor in inputs) if isinstance(inputs, tuple) else inputs.numpy()


class TestOnnxRuntime(Exported):
    @pytest.fixture
    def make(self, folder: Path) -> Make:
        from offramp.run.onnx_runtime import OnnxRuntime

        def onnx(live: MultiExit, gate: Gate, calibrators: Sequence[Calibrator]) -> Executor:
            return Numbers(OnnxRuntime(*self.exported(folder, live, gate, calibrators), threads=1))

        return onnx

    def test_the_script_of_the_docs_leaves_where_the_run_loop_does(self, folder: Path) -> None:
        from offramp.run.onnx_runtime import OnnxRuntime

        script = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "how-to" / "without_offramp.py"))
        for live, inputs in self.cases(12):
            into, files, uncut = self.exported(folder, live, MaxProb(), self.calibrators(live))
            threshold = tuple(float(np.median(said.score)) for said in self.truth(live, inputs)[:-1])
            enabled, executor = (True,) * len(threshold), OnnxRuntime(into, files, uncut, threads=1)
            plan = Plan(Configuration(enabled, threshold), stops_of(enabled, live.point_of), executor)
            expected = run(plan, _numbers(inputs))
            given = dict(zip(uncut.inputs, (tensor.numpy() for tensor in leaves(inputs)), strict=True))
            state = [given[name.removesuffix("_of_heads")] for name in files[0].inputs]
            sessions = [script["load"](into / file.file) for file in files]
            answer, exits = script["leave"]([asdict(file) for file in files], sessions, threshold, state)
            np.testing.assert_array_equal(exits, expected.exit_index)
            np.testing.assert_array_equal(answer, expected.output.argmax(1))
            assert len(set(exits.tolist())) > 2


class TestOpenVino(Exported):
    @pytest.fixture
    def make(self, folder: Path) -> Make:
        pytest.importorskip("openvino")
        from offramp.run.openvino_runtime import OpenVino

        def vino(live: MultiExit, gate: Gate, calibrators: Sequence[Calibrator]) -> Executor:
            return Numbers(OpenVino(*self.exported(folder, live, gate, calibrators), threads=1))

        return vino


class TestOpenVinoInBfloat16(Exported):
    tolerance = 0.05

    @pytest.fixture
    def make(self, folder: Path) -> Make:
        pytest.importorskip("openvino")
        from offramp.run.openvino_runtime import OpenVino

        def vino(live: MultiExit, gate: Gate, calibrators: Sequence[Calibrator]) -> Executor:
            return Numbers(OpenVino(*self.exported(folder, live, gate, calibrators), threads=1, precision="bf16"))

        return vino


def test_maps_begin_blocked_for_onnx_runtime_and_openvino_leaves_that_out(folder: Path) -> None:
    """A residual net's stages begin with a pooling over single pixels; OpenVINO compiles none."""
    onnx, openvino = pytest.importorskip("onnx"), pytest.importorskip("openvino")
    from offramp.run.openvino_files import without_poolings

    live = made(CNN.name)
    where, files, _ = Exported().exported(folder, live, MaxProb(), ExecutorSuite().calibrators(live))
    poolings = [
        [n for n in onnx.load(where / one.file).graph.node if n.op_type == "MaxPool" and n.name.endswith("_blocked")]
        for one in files
    ]
    assert not poolings[0]
    assert any(poolings[1:])
    for one, mine in zip(files, poolings, strict=True):
        if mine:
            model = openvino.Core().read_model(str(where / one.file))
            before = sum(node.get_type_name() == "MaxPool" for node in model.get_ops())
            without_poolings(model)
            assert sum(node.get_type_name() == "MaxPool" for node in model.get_ordered_ops()) == before - len(mine)


def test_a_batch_longer_than_a_piece(folder: Path) -> None:
    """Forty samples go through in pieces, and come out as one by one."""
    from offramp.run.onnx_runtime import OnnxRuntime

    live = made(CNN.name)
    executor = OnnxRuntime(*Exported().exported(folder, live, MaxProb(), ExecutorSuite().calibrators(live)), threads=1)
    inputs = np.concatenate([np.asarray(leaves(CNN.inputs(8))[0]) for _ in range(5)])
    together = executor.whole(inputs)
    alone = [executor.whole(inputs[i : i + 1]) for i in range(40)]
    np.testing.assert_allclose(together.logits, np.concatenate([one.logits for one in alone]), rtol=1e-4, atol=1e-5)


def test_files_say_nothing_of_the_machine_they_were_made_on(folder: Path) -> None:
    live = made(CNN.name)
    where, files, uncut = Exported().exported(folder, live, MaxProb(), ExecutorSuite().calibrators(live))
    for one in (*files, uncut):
        held = (where / one.file).read_bytes()
        assert b"offramp" not in held
        assert str(Path.cwd()).encode() not in held
        assert b".py" not in held


def test_texts_of_all_lengths_run_on_one_compiled_model(folder: Path) -> None:
    """Where more than the batch is open, a model for each size would fill the memory."""
    pytest.importorskip("openvino")
    from offramp.run.openvino_runtime import OpenVino

    live = made(TEXT.name)
    executor = OpenVino(*Exported().exported(folder, live, MaxProb(), ExecutorSuite().calibrators(live)), threads=1)
    inputs = _numbers(TEXT.inputs(6))
    assert isinstance(inputs, dict)
    for length in (8, 5, 6):
        short = {name: array[:, :length] for name, array in inputs.items()}
        together = executor.whole(short)
        alone = [executor.whole({name: array[i : i + 1] for name, array in short.items()}) for i in range(6)]
        np.testing.assert_allclose(together.logits, np.concatenate([one.logits for one in alone]), rtol=1e-4, atol=1e-5)
        executor.drive(short, lambda _place, _say: None)
    assert all(len(run._model._compiled) == 1 for run in (*executor._run, executor._whole))  # type: ignore[attr-defined]


def test_nothing_of_the_users_is_kept(folder: Path) -> None:
    """Inputs are free again when a batch is through."""
    import gc
    import weakref

    from offramp.run.onnx_runtime import OnnxRuntime
    from offramp.run.openvino_runtime import OpenVino

    live = made(CNN.name)
    for kind in (OnnxRuntime, OpenVino):
        executor = kind(*Exported().exported(folder, live, MaxProb(), ExecutorSuite().calibrators(live)), threads=1)
        inputs = leaves(CNN.inputs(5))[0].numpy().copy()
        executor.drive(inputs, lambda _place, _say: None)
        executor.whole(inputs)
        gone = weakref.ref(inputs)
        del inputs
        gc.collect()
        assert gone() is None, kind


def test_inputs_that_cannot_be_written_to_are_taken(folder: Path) -> None:
    """As those of `np.frombuffer`, or of a file that is mapped into memory."""
    from offramp.run.onnx_runtime import OnnxRuntime
    from offramp.run.openvino_runtime import OpenVino

    live = made(CNN.name)
    inputs = leaves(CNN.inputs(5))[0].numpy().copy()
    turned = np.asfortranarray(inputs)
    for kind in (OnnxRuntime, OpenVino):
        executor = kind(*Exported().exported(folder, live, MaxProb(), ExecutorSuite().calibrators(live)), threads=1)
        expected = executor.whole(inputs).logits
        locked = inputs.copy()
        locked.setflags(write=False)
        for other in (locked, turned):
            np.testing.assert_allclose(executor.whole(other).logits, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("stride", "stays"), [(1, 0), (2, 1)])
def test_only_poolings_that_change_nothing_are_taken_out(stride: int, stays: int, tmp_path: Path) -> None:
    """A pooling over single pixels with a stride takes every other one of them."""
    onnx, openvino = pytest.importorskip("onnx"), pytest.importorskip("openvino")
    from offramp.run.openvino_files import without_poolings

    kind, shape = onnx.TensorProto.FLOAT, [1, 2, 4, 4]
    pool = onnx.helper.make_node("MaxPool", ["x"], ["p"], kernel_shape=[1, 1], strides=[stride, stride])
    twice = onnx.helper.make_node("Add", ["p", "p"], ["y"])
    after = [1, 2, 4 // stride, 4 // stride]
    graph = onnx.helper.make_graph(
        [pool, twice],
        "pool",
        [onnx.helper.make_tensor_value_info("x", kind, shape)],
        [onnx.helper.make_tensor_value_info("y", kind, after)],
    )
    opset = onnx.helper.make_opsetid("", 18)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=9), tmp_path / "pool.onnx")
    model = openvino.Core().read_model(str(tmp_path / "pool.onnx"))
    without_poolings(model)
    assert sum(node.get_type_name() == "MaxPool" for node in model.get_ordered_ops()) == stays
