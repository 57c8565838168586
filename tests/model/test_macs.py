from collections.abc import Callable

import pytest
import torch
from benchmarks import torchvision_shim
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from offramp.heads import head_type
from offramp.model.capture import capture
from offramp.model.macs import macs_upto, module_macs
from offramp.testing.models import EncoderLayer
from tests.toys import CNN, NAMES, graph_of, live, logits_of, untouched

sizes = st.integers(1, 6)


@settings(deadline=None, max_examples=30)
@given(sizes, sizes, sizes, st.integers(1, 2), st.integers(5, 9), st.integers(1, 2))
def test_convolution(inputs: int, outputs: int, kernel: int, stride: int, size: int, groups: int) -> None:
    kernel = min(kernel, size)
    layer = nn.Conv2d(inputs * groups, outputs * groups, kernel, stride, kernel // 2, groups=groups)
    side = (size + 2 * (kernel // 2) - kernel) // stride + 1
    expected = side * side * outputs * groups * inputs * kernel * kernel
    assert module_macs(layer, [(inputs * groups, size, size)]) == expected


@settings(deadline=None, max_examples=10)
@given(sizes, sizes, sizes)
def test_linear_on_a_vector_and_on_tokens(inputs: int, outputs: int, tokens: int) -> None:
    layer = nn.Linear(inputs, outputs)
    assert module_macs(layer, [(inputs,)]) == inputs * outputs
    assert module_macs(layer, [(tokens, inputs)]) == tokens * inputs * outputs


def attention(tokens: int, width: int) -> int:
    """Projections of queries, keys, values and the result, two matrix products of attention, and the MLP."""
    projections = tokens * width * 3 * width + tokens * width * width
    products = 2 * tokens * tokens * width
    return projections + products + 2 * tokens * width * 2 * width


@pytest.mark.parametrize(("tokens", "width", "heads"), [(5, 8, 2), (10, 16, 4), (3, 12, 1)])
def test_fused_attention_is_counted(tokens: int, width: int, heads: int) -> None:
    """On CPU tensors torch counts 0 for it (pytorch#195460)."""
    assert module_macs(EncoderLayer(width, heads), [(tokens, width)]) == attention(tokens, width)


def cnn() -> int:
    """Every convolution of the toy by hand: side² x channels out x channels in x 9."""
    first, stage1 = 144 * 8 * 3 * 9, 4 * 144 * 8 * 8 * 9
    stage2 = 36 * 16 * 8 * 9 + 36 * 16 * 16 * 9 + 36 * 16 * 8 + 2 * 36 * 16 * 16 * 9
    return first + stage1 + stage2 + 16 * 5


BY_HAND: dict[str, Callable[[], int]] = {
    "mlp": lambda: 8 * 24 + 2 * 24 * 24 + 24 * 5,
    "cnn": cnn,
    "vit": lambda: 9 * 16 * 3 * 16 + 4 * attention(10, 16) + 16 * 5,
    "text": lambda: 4 * attention(9, 16) + 16 * 5,
    "clicks": lambda: 2 * 18 * 18 + 18 * 32 + 32 * 32 + 32 * 16 + 16 * 5,
}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_captured_toy_costs_what_its_layers_cost(name: str) -> None:
    captured = graph_of(name).captured
    with untouched(live(name).backbone.model):
        upto = macs_upto(captured)
    assert upto[captured.logits.name] == BY_HAND[name]()
    values = [upto[node.name] for node in captured.graph_module.graph.nodes if node.op == "call_function"]
    assert values == sorted(values)
    assert all(parameter.device.type == "cpu" for parameter in captured.graph_module.parameters())


def test_module_macs_leaves_the_module_alone_and_counts_both_inputs() -> None:
    model = CNN.model()
    with untouched(model):
        assert module_macs(model, [(3, 12, 12)]) == cnn()
    assert module_macs(nn.Bilinear(3, 4, 5), [(3,), (4,)]) >= 0.0


def test_heads_cost_what_their_layers_cost() -> None:
    head = head_type("grid-mlp").build((8, 12, 12), 5, torch.Generator())
    assert module_macs(head, [(8, 12, 12)]) == 8 * 16 * 256 + 256 * 128 + 128 * 5


class ByDevice(nn.Module):
    """Makes tensors on the device of its input."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        ramp = torch.arange(4, device=x.device, dtype=x.dtype).to(x.device)
        logits: torch.Tensor = self.layer(x + ramp + torch.zeros(4, device="cpu"))
        return F.log_softmax(logits, dim=1)


def test_graphs_that_name_a_device_are_counted_too() -> None:
    captured = capture(ByDevice().eval(), torch.randn(2, 4), logits_of)
    assert macs_upto(captured)[captured.logits.name] == 12


def test_a_vision_transformer_of_timm() -> None:
    """The literature gives 1.25 to 1.26 GMACs at 224 pixels."""
    try:
        torchvision_shim.install()
        timm = pytest.importorskip("timm")
    except (ImportError, RuntimeError):
        pytest.skip("no torchvision beside this torch")
    model = timm.create_model("vit_tiny_patch16_224").eval()
    assert module_macs(model, [(3, 224, 224)]) == pytest.approx(1.25e9, rel=0.02)
