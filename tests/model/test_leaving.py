import pytest
import torch
from torch import nn

from offramp.model.leaving import NobodyLeft, leaving
from tests.toys import CNN, MLP, untouched, whole


class Pair(nn.Module):
    """Returns a tuple, a number and something that has not the batch as first axis."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor], int, torch.Tensor]:
        return x + 1, {"twice": 2 * x}, 7, torch.arange(4)


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pair = Pair()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, int, torch.Tensor]:
        one, named, number, other = self.pair(x)
        return one + named["twice"], number, other


def test_all_that_has_the_batch_first_is_shrunk_and_nothing_else() -> None:
    x = torch.arange(6.0).reshape(3, 2)
    with leaving(Nested(), [], lambda *_: None):
        pass
    model, staying = Nested(), torch.tensor([2, 0])
    with leaving(model, ["pair"], lambda _index, _feature: staying):
        found, number, other = model(x)
    torch.testing.assert_close(found, (3 * x + 1)[staying])
    assert number == 7
    torch.testing.assert_close(other, torch.arange(4))


def test_hooks_are_gone_when_nobody_is_left_and_after_an_exception() -> None:
    model, inputs = CNN.model(), CNN.inputs(3)
    nobody = torch.zeros(0, dtype=torch.int64)
    with untouched(model), pytest.raises(NobodyLeft), leaving(model, ["layer1.0"], lambda *_: nobody):
        whole(model, inputs)
    with untouched(model), pytest.raises(ZeroDivisionError), leaving(model, ["layer1.0"], lambda *_: 1 // 0):  # type: ignore[arg-type]
        whole(model, inputs)


def test_stops_are_numbered_in_the_order_of_the_names() -> None:
    model, seen = MLP.model(), []
    with leaving(model, ["2", "5"], lambda index, feature: seen.append((index, feature.shape[1]))):
        whole(model, MLP.inputs(2))
    assert seen == [(0, 24), (1, 24)]
