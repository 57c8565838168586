from typing import Any

import pytest
import torch
from torch import nn

from offramp.errors import CaptureError
from offramp.inputs import leaves
from offramp.model.capture import capture
from tests.toys import NAMES, TEXT, live, logits_of, untouched, whole


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize("batch", [1, 2, 7])
def test_the_graph_is_the_model_at_every_batch_size(name: str, batch: int) -> None:
    captured, inputs = live(name).backbone.captured, NAMES[name].inputs(batch, 3)
    with torch.no_grad():
        found = torch.fx.Interpreter(captured.graph_module).run(*leaves(inputs), enable_io_processing=False)
    leaf = [value for value in torch.utils._pytree.tree_leaves(found) if value.shape == (batch, 5)]
    torch.testing.assert_close(leaf[0], whole(live(name).backbone.model, inputs), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize("training", [False, True])
def test_the_model_is_left_alone(name: str, training: bool) -> None:
    model = NAMES[name].model().train(training)
    with untouched(model):
        capture(model, NAMES[name].inputs(2), logits_of)


def test_parameters_are_the_models_own() -> None:
    model = NAMES["cnn"].model()
    captured = capture(model, NAMES["cnn"].inputs(2), logits_of)
    assert {id(p) for p in captured.graph_module.parameters()} == {id(p) for p in model.parameters()}


def test_an_example_of_one_sample_does_not_fix_the_batch() -> None:
    model = NAMES["vit"].model()
    captured = capture(model, NAMES["vit"].inputs(1), logits_of)
    inputs = NAMES["vit"].inputs(3)
    assert isinstance(inputs, torch.Tensor)
    with torch.no_grad():
        torch.testing.assert_close(captured.graph_module(inputs), whole(model, inputs), rtol=1e-5, atol=1e-5)


def test_the_logits_are_found_among_several_outputs() -> None:
    captured = capture(TEXT.model(), TEXT.inputs(2), logits_of)
    assert tuple(captured.logits.meta["val"].shape[1:]) == (5,)
    assert [node.name for node in captured.placeholders] == ["input_ids", "attention_mask"]


class Deciding(nn.Module):
    """Control flow that depends on the values."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layer(x)
        return logits if bool(logits.sum() > 0) else -logits


class Fixed(nn.Module):
    """Answers two samples whatever it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(2, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.table * 2.0


class Failing(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("the user's own bug\nwith details")


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Deciding(), "cannot capture Deciding"),
        (Fixed(), "its output does not follow the batch size"),
        (Failing(), "cannot capture Failing: RuntimeError: the user's own bug$"),
        (nn.Linear(9, 3), "cannot capture Linear: RuntimeError"),
        (nn.Flatten(0), "expected logits of shape"),
    ],
)
def test_refuses_with_the_reason(model: nn.Module, reason: str) -> None:
    model.train()
    with untouched(model), pytest.raises(CaptureError, match=reason):
        capture(model, torch.randn(2, 4, generator=torch.Generator().manual_seed(0)), logits_of)


def test_logits_that_are_no_output_are_refused() -> None:
    def changed(output: Any) -> torch.Tensor:
        return logits_of(output) * 2.0

    with pytest.raises(CaptureError, match="expected the logits to be one of the model's outputs"):
        capture(NAMES["mlp"].model(), NAMES["mlp"].inputs(2), changed)
