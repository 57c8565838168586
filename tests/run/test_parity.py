import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from offramp.calibrate.identity import Identity
from offramp.errors import CaptureError
from offramp.gates.max_prob import MaxProb
from offramp.load.quantised import quantised
from offramp.model.multi_exit import MultiExit
from offramp.model.points import analyse
from offramp.run.loop import stops_of
from offramp.run.routing import StageFile
from offramp.run.stage import first_state, stages, uncut_stage
from offramp.run.staged import Staged
from offramp.testing.models import MLP, attached
from tests.toys import logits_of

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def altered(path: Path, factor: float) -> None:
    """Multiplies the weights of the first layer, or the scales of them where they are integers."""
    model = onnx.load(path)
    constants = {one.name: one for one in model.graph.initializer}
    scales = {node.input[1] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    matrices = {node.input[1] for node in model.graph.node if node.op_type == "Gemm"}
    names = [name for name in constants if name in scales and constants[name].dims] or [*matrices & constants.keys()]
    one = constants[sorted(names)[0]]
    one.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(one) * np.float32(factor), one.name))
    onnx.save(model, path)


def staged(runtime: str, folder: Path, files: Sequence[StageFile]) -> Staged:
    pytest.importorskip({"onnx": "onnxruntime", "openvino": "openvino"}[runtime])
    if runtime == "onnx":
        from offramp.run.onnx_runtime import OnnxRuntime

        return OnnxRuntime(folder, files, files[-1], threads=1)
    from offramp.run.openvino_runtime import OpenVino

    return OpenVino(folder, files, files[-1], threads=1)


@pytest.mark.parametrize(("eight_bits", "still_same", "other"), [(False, 1.0, 1.01), (True, 1.01, 3.0)])
def test_stages_that_round_may_differ_a_little_and_others_not(
    eight_bits: bool, still_same: float, other: float, tmp_path: Path
) -> None:
    from offramp.run import onnx_files, parity
    from offramp.run.onnx_runtime import OnnxRuntime

    if eight_bits:
        pytest.importorskip("nncf")
    model = quantised(MLP.model(), MLP.inputs(64)) if eight_bits else MLP.model()
    backbone = analyse(model, MLP.inputs(2), logits_of)
    stage = uncut_stage(MultiExit(backbone, (), nn.ModuleList()), logits_of, MaxProb())
    for factor, same in ((still_same, True), (other, False)):
        folder = tmp_path / str(factor)
        files = onnx_files.export([stage], [(0,)], model, backbone.example, folder, "uncut")
        altered(folder / files[0].file, factor)
        state = first_state(backbone.example, False)
        if same:
            assert parity.check([stage], files, folder, state, OnnxRuntime) < parity.ROUNDED
        else:
            with pytest.raises(CaptureError, match=r"expected uncut-0\.onnx to answer as the model does"):
                parity.check([stage], files, folder, state, OnnxRuntime)


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_a_chain_is_followed_through_the_runtime_itself(runtime: str, tmp_path: Path) -> None:
    """Also where integers are handed on; each of its files is looked at."""
    from offramp.run import boundaries, onnx_files, parity

    pytest.importorskip("nncf")
    live = attached(quantised(MLP.model(), MLP.inputs(64)), MLP.inputs(2))
    everyone = (True,) * len(live.exits)
    made = stages(live, logits_of, MaxProb(), [Identity()] * len(live.exits), everyone)
    exits = (*stops_of(everyone, live.point_of), (len(live.exits),))
    state = first_state(live.backbone.example, False)
    files = onnx_files.export(made, exits, live.backbone.model, live.backbone.example, tmp_path, "cut")
    assert boundaries.narrow(files, tmp_path) == len(files) - 1
    assert parity.check_chain(made, files, state, staged(runtime, tmp_path, files)) < 0.1
    for file in files:
        folder = tmp_path / f"{file.file}-altered"
        shutil.copytree(tmp_path, folder, ignore=shutil.ignore_patterns("*-altered"))
        altered(folder / file.file, 3)
        with pytest.raises(CaptureError, match=f"{file.file} differs from the model"):
            parity.check_chain(made, files, state, staged(runtime, folder, files))
