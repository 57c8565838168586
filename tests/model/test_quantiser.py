import numpy as np
import pytest
import torch
from torch import nn

from offramp.model.quantiser import Factor, Quantiser, rounded


def reference(x: np.ndarray, scale: float, zero: int, low: int, high: int) -> np.ndarray:
    """What ONNX says of QuantizeLinear and DequantizeLinear."""
    found: np.ndarray = (np.clip(np.rint(x / scale) + zero, low, high) - zero) * scale
    return found


@pytest.mark.parametrize(("dtype", "zero"), [(torch.int8, 0), (torch.uint8, 0), (torch.uint8, 131)])
def test_numbers_become_multiples_of_the_scale(dtype: torch.dtype, zero: int) -> None:
    x = torch.linspace(-9, 9, 1001)
    found = Quantiser(torch.tensor(0.05), torch.tensor(zero, dtype=dtype))(x)
    limits = torch.iinfo(dtype)
    expected = reference(x.numpy(), 0.05, zero, limits.min, limits.max)
    torch.testing.assert_close(found, torch.from_numpy(expected).float(), rtol=0, atol=1e-5)
    assert found.unique().numel() <= 256


@pytest.mark.parametrize("axis", [0, 1])
def test_each_index_of_the_axis_has_its_scale(axis: int) -> None:
    x, scale = torch.randn(3, 3, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0.1, 0.2, 0.5])
    found = Quantiser(scale, torch.zeros(3, dtype=torch.int8), axis)(x)
    for index in range(3):
        expected = reference(x.select(axis, index).numpy(), float(scale[index]), 0, -128, 127)
        torch.testing.assert_close(found.select(axis, index), torch.from_numpy(expected).float(), rtol=0, atol=1e-6)


def test_rounding_is_one_operation_of_an_exported_graph() -> None:
    model = nn.Sequential(
        Factor(torch.full((4,), 2.0)), Quantiser(torch.tensor(0.5), torch.tensor(3, dtype=torch.uint8))
    )
    batch = torch.export.Dim("batch", min=2)
    program = torch.export.export(model.eval(), (torch.randn(2, 4),), dynamic_shapes={"input": {0: batch}})
    calls = [node.target for node in program.graph.nodes if node.op == "call_function"]
    assert calls.count(torch.ops.offramp.rounded.default) == 1
    x = torch.randn(5, 4)
    torch.testing.assert_close(program.module()(x), rounded(2 * x, *model[1].state_dict().values()), rtol=0, atol=0)
