import torch
from torch import nn

from offramp.model.capture import capture
from offramp.model.names import ends
from tests.toys import NAMES, logits_of


def names_of(model: nn.Module, example: torch.Tensor) -> list[str]:
    return list(ends(capture(model, example, logits_of), model).values())


def test_blocks_of_a_plain_stage_have_names_of_their_own() -> None:
    found = names_of(NAMES["cnn"].model(), torch.randn(2, 3, 12, 12))
    assert [name for name in found if name.count(".") == 1 and name.startswith("layer")] == [
        "layer1.0",
        "layer1.1",
        "layer2.0",
        "layer2.1",
    ]


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.last = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.activation = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.activation(self.one(x))
        x = self.activation(self.two(x))
        logits: torch.Tensor = self.last(x)
        return logits


def test_every_call_of_a_module_has_a_name_of_its_own() -> None:
    assert names_of(Shared().eval(), torch.randn(2, 4)) == ["one", "activation", "two", "activation@1", "last"]


class Wrapped(nn.Module):
    """A module that does nothing but call another."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.inner(x)
        return result


def test_the_outermost_module_that_ends_gives_the_name() -> None:
    deep = Wrapped(Wrapped(nn.Sequential(nn.Linear(4, 4), nn.ReLU())))
    model = nn.Sequential(deep, nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Tanh(), nn.Sigmoid())), nn.Linear(4, 3))
    assert names_of(model, torch.randn(2, 4)) == ["0.inner.inner.0", "0", "1.0", "1.1.0", "1.1.1", "2"]
