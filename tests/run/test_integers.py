from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from offramp.load.quantised import quantised
from offramp.testing.models import CNN, VIT
from tests.toys import logits_of

onnx = pytest.importorskip("onnx")
ir = pytest.importorskip("onnx_ir")
onnxruntime = pytest.importorskip("onnxruntime")


def program(model: nn.Module, example: torch.Tensor) -> Any:
    """As the exporter gives it, with nothing settled."""
    from offramp.run.integers import TRANSLATIONS

    shapes = ({0: torch.export.Dim("batch", min=2, max=65535)},)
    made = torch.onnx.export(
        model, (example,), dynamo=True, dynamic_shapes=shapes, custom_translation_table=TRANSLATIONS, verbose=False
    )
    assert made is not None
    return made.model


def answers(model: Any, path: Path, x: np.ndarray) -> np.ndarray:
    """By ONNX Runtime, told to change nothing."""
    ir.save(model, path)
    onnx.checker.check_model(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    found: np.ndarray = session.run(None, {session.get_inputs()[0].name: x})[0]
    return found


def kinds(model: Any) -> list[str]:
    return [node.op_type for node in model.graph]


@pytest.mark.filterwarnings("ignore")  # the exporter's own
def test_a_settled_model_has_integer_weights_no_norms_and_the_same_answers(tmp_path: Path) -> None:
    from offramp.run.integers import settle

    pytest.importorskip("nncf")
    floats = CNN.model()
    with torch.no_grad():
        for norm in floats.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.weight[::3] *= -1  # a norm may turn a channel over
    images = CNN.inputs(64)
    assert isinstance(images, torch.Tensor)
    model = quantised(floats, images)
    found = program(model, images[:2])
    assert kinds(found).count("BatchNormalization") > 0
    before = answers(found, tmp_path / "before.onnx", images.numpy())
    settle(found)
    after = answers(found, tmp_path / "after.onnx", images.numpy())
    with torch.no_grad():
        expected = logits_of(model(images)).numpy()
    assert np.linalg.norm(before - expected) < 0.05 * np.linalg.norm(expected)
    assert np.linalg.norm(after - before) < 0.05 * np.linalg.norm(before)
    assert (after.argmax(1) == before.argmax(1)).mean() > 0.9
    assert "BatchNormalization" not in kinds(found)
    assert all(value.uses() for value in found.graph.initializers.values())
    for node in found.graph:
        if node.op_type in ("Conv", "Gemm"):
            weight = node.inputs[1].producer()
            assert weight.op_type == "DequantizeLinear"
            assert weight.inputs[0].const_value.dtype == ir.DataType.INT8
    shapes = [value.shape for value in found.graph.initializers.values() if value.dtype == ir.DataType.FLOAT]
    assert max(len(shape) for shape in shapes) <= 1


@pytest.mark.filterwarnings("ignore")
def test_a_norm_behind_one_convolution_is_taken_in_exactly(tmp_path: Path) -> None:
    from offramp.model.quantiser import Quantiser
    from offramp.run.integers import settle

    class Net(nn.Module):
        def __init__(self, bias: bool) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 3, bias=bias), nn.BatchNorm2d(4)
            self.rounded = Quantiser(torch.tensor([0.01, 0.02, 0.005, 0.1]), torch.zeros(4, dtype=torch.int8))
            nn.init.normal_(self.norm.weight)
            nn.init.normal_(self.norm.running_mean)  # type: ignore[arg-type]
            nn.init.uniform_(self.norm.running_var, 0.5, 2.0)  # type: ignore[arg-type]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            weight = self.rounded(self.conv.weight)
            found: torch.Tensor = self.norm(nn.functional.conv2d(x, weight, self.conv.bias))
            return found

    torch.manual_seed(3)
    for bias in (True, False):
        model = Net(bias).eval()
        assert (model.norm.weight < 0).any()
        x = torch.randn(5, 3, 6, 6)
        found = program(model, x[:2])
        before = answers(found, tmp_path / "before.onnx", x.numpy())
        (result,) = (value.name for value in found.graph.outputs)
        settle(found)
        assert kinds(found) == ["DequantizeLinear", "Conv"]
        assert found.graph.outputs[0].name == result
        np.testing.assert_allclose(answers(found, tmp_path / "after.onnx", x.numpy()), before, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_what_has_no_counterpart_stays(tmp_path: Path) -> None:
    """Here the weight -128, in a channel that the norm turns over."""
    from offramp.model.quantiser import Quantiser
    from offramp.run.integers import settle

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(1, 2, 1, bias=False), nn.BatchNorm2d(2)
            self.rounded = Quantiser(torch.tensor(1.0), torch.tensor(0, dtype=torch.int8))
            with torch.no_grad():
                self.conv.weight.copy_(torch.tensor([[[[-128.0]]], [[[5.0]]]]))
                self.norm.weight.copy_(torch.tensor([-1.0, 1.0]))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.norm(nn.functional.conv2d(x, self.rounded(self.conv.weight)))
            return found

    x = torch.randn(3, 1, 4, 4)
    found = program(Net().eval(), x)
    before = answers(found, tmp_path / "before.onnx", x.numpy())
    settle(found)
    assert kinds(found) == ["DequantizeLinear", "Conv", "BatchNormalization"]
    np.testing.assert_allclose(answers(found, tmp_path / "after.onnx", x.numpy()), before, rtol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_a_model_in_floating_point_is_left_alone(tmp_path: Path) -> None:
    from offramp.run.integers import settle

    x = VIT.inputs(4)
    assert isinstance(x, torch.Tensor)
    found = program(VIT.model(), x)
    had, before = kinds(found), answers(found, tmp_path / "before.onnx", x.numpy())
    settle(found)
    assert kinds(found) == had
    np.testing.assert_array_equal(answers(found, tmp_path / "after.onnx", x.numpy()), before)


class Sums(nn.Module):
    """Means and sums over each of three axes, of what a convolution computes with integers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.relu(self.conv(x)).flatten(2)
        rest = tokens.sum(dim=1, keepdim=True).flatten(1)[:, :5], tokens.mean(dim=(1, 2), keepdim=True).flatten(1)
        return torch.cat([tokens.mean(dim=-1), *rest], dim=1)


@pytest.mark.filterwarnings("ignore")
def test_sums_over_three_axes_are_right_in_every_runtime(tmp_path: Path) -> None:
    from offramp.run.integers import settle

    pytest.importorskip("nncf")
    openvino = pytest.importorskip("openvino")
    images = CNN.inputs(64)
    assert isinstance(images, torch.Tensor)
    torch.manual_seed(0)
    model = quantised(Sums().eval(), images)
    found = program(model, images[:2])
    before = answers(found, tmp_path / "before.onnx", images.numpy())
    settle(found)
    np.testing.assert_allclose(answers(found, tmp_path / "after.onnx", images.numpy()), before, rtol=1e-2, atol=1e-2)
    reduced = [node for node in found.graph if node.op_type in ("ReduceMean", "ReduceSum")]
    assert len(reduced) == 3
    assert all(node.inputs[0].producer().op_type == "Unsqueeze" for node in reduced)
    plain = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = openvino.Core().compile_model(tmp_path / "after.onnx", "CPU", plain)
    np.testing.assert_allclose(compiled([images.numpy()])[0], before, rtol=2e-2, atol=2e-2)
