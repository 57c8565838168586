import pytest
import torch
from torch import nn

from offramp.model.precision import bears_bfloat16, runs_in_bfloat16
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


class Leaving(nn.Module):
    """Leaves torch in between."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self.fc(x).numpy())


class InPlace(nn.Module):
    """Works on its inputs in place, so that seeing them twice is another thing than seeing them once."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sub_(3.0).mul_(2.0)


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


@pytest.mark.parametrize("kind", [Filling, Leaving])
def test_code_that_mixes_types_does_not(kind: type[nn.Module]) -> None:
    model, inputs = kind(), torch.randn(64, 6)
    with torch.no_grad():
        assert model(inputs).shape == (64, 4)
    assert not bears_bfloat16(model, inputs, logits_of)
    assert not runs_in_bfloat16(model, inputs, logits_of)


def test_a_model_that_works_on_its_inputs_in_place_is_given_copies() -> None:
    inputs = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
    before = inputs.clone()
    assert bears_bfloat16(nn.Sequential(nn.Linear(6, 4), InPlace()), inputs, logits_of)
    assert bears_bfloat16(nn.Sequential(InPlace(), nn.Linear(6, 4)), inputs, logits_of)
    torch.testing.assert_close(inputs, before, rtol=0, atol=0)


def test_a_model_that_answers_otherwise_still_runs() -> None:
    assert runs_in_bfloat16(Rounding(), torch.randn(8, 6), logits_of)


def test_answers_that_rounding_changes_are_found_out() -> None:
    inputs = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
    assert not bears_bfloat16(Rounding(), inputs, logits_of)
