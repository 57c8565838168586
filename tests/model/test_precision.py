import pytest
import torch
from torch import nn

from offramp.model.precision import bears_bfloat16
from offramp.testing.untouched import untouched
from tests.toys import CNN, TEXT, VIT, Toy, logits_of


class Filling(nn.Module):
    """Writes results of a layer into a tensor of its own, which has to be of the same type."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = torch.zeros(len(x), 4)
        out[torch.arange(len(x))] = self.fc(x)
        return out


class Rounding(nn.Module):
    """Classes that differ by less than bfloat16 can tell at their size."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(6)[:4])
        self.bias = nn.Parameter(torch.full((4,), 1000.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, self.weight, self.bias)


@pytest.mark.parametrize("toy", [CNN, TEXT, VIT], ids=["cnn", "text", "vit"])
def test_usual_models_bear_it(toy: Toy) -> None:
    model = toy.model()
    with torch.no_grad():  # untrained, they answer much alike, and any rounding would decide
        for parameter in model.parameters():
            parameter.mul_(2.0)
    inputs = toy.inputs(64)
    with untouched(model):
        assert bears_bfloat16(model, inputs, logits_of)


def test_code_that_mixes_types_does_not() -> None:
    model, inputs = Filling(), torch.randn(64, 6)
    assert model(inputs).shape == (64, 4)
    assert not bears_bfloat16(model, inputs, logits_of)


def test_answers_that_rounding_changes_are_found_out() -> None:
    inputs = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
    assert not bears_bfloat16(Rounding(), inputs, logits_of)
