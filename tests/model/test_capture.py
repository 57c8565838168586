from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from offramp.errors import CaptureError
from offramp.inputs import leaves
from offramp.model.capture import capture
from tests.toys import NAMES, TEXT, graph_of, live, logits_of, untouched, whole


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize("batch", [1, 2, 7])
def test_the_graph_is_the_model_at_every_batch_size(name: str, batch: int) -> None:
    captured, inputs = graph_of(name).captured, NAMES[name].inputs(batch, 3)
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
    assert [captured.name_of(node) for node in captured.placeholders] == ["input_ids", "attention_mask"]


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


def test_logits_may_be_made_from_the_output() -> None:
    def changed(output: Any) -> torch.Tensor:
        return logits_of(output) * 2.0

    captured, inputs = capture(NAMES["mlp"].model(), NAMES["mlp"].inputs(2), changed), NAMES["mlp"].inputs(5)
    with torch.no_grad():
        found = captured.graph_module(inputs)
    torch.testing.assert_close(found, 2.0 * whole(NAMES["mlp"].model(), inputs))


class Odd(nn.Module):
    """Returns a type that the exporter does not know, and has a module of a name that graph modules use themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.meta = nn.Linear(4, 8)
        self.last = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> Any:
        return SimpleNamespace(logits=self.last(self.meta(x).relu()), cache=object())


def test_outputs_may_be_of_any_type_and_modules_of_any_name() -> None:
    model, inputs = Odd().eval(), torch.randn(3, 4)
    captured = capture(model, inputs, logits_of)
    with torch.no_grad():
        torch.testing.assert_close(captured.graph_module(inputs), model(inputs).logits)
