import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from offramp.model.by_graph import by_graph
from offramp.model.by_hooks import by_hooks
from offramp.model.modes import frozen
from tests.toys import CNN, MLP, logits_of, untouched, whole


@settings(deadline=None, max_examples=20)
@given(st.lists(st.booleans(), min_size=11, max_size=11))
def test_every_module_gets_its_own_mode_back(flags: list[bool]) -> None:
    model = MLP.model()
    for module, flag in zip(model.modules(), flags, strict=True):
        module.training = flag
    with untouched(model), frozen(model):
        assert not any(module.training for module in model.modules())
        assert not torch.is_grad_enabled()
    assert torch.is_grad_enabled()


def test_batch_norm_and_dropout_are_frozen_too() -> None:
    model, inputs = CNN.model(), CNN.inputs(4)
    expected = whole(model, inputs)
    model.train()
    with untouched(model), frozen(model):
        torch.testing.assert_close(whole(model, inputs), expected, rtol=0, atol=0)


def test_modes_come_back_after_an_exception() -> None:
    model = CNN.model().train()
    with untouched(model), pytest.raises(KeyError), frozen(model):
        raise KeyError
    assert all(module.training for module in model.modules())


def test_blocks_may_be_nested() -> None:
    model = CNN.model().train()
    with untouched(model), frozen(model):
        with frozen(model):
            pass
        assert not any(module.training for module in model.modules())


class Noting(nn.Module):
    """Notes how long its inputs were, as some models do."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.last = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.longest = 0
        self.tables: dict[str, torch.Tensor] = {}
        self.lengths: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.longest, self.seen = x.shape[1], x.shape
        self.lengths.append(x.shape[1])
        if "table" not in self.tables:
            self.tables["table"] = self.one.weight.mean() * 0.0
        x = x + self.tables["table"]
        logits: torch.Tensor = self.last(self.two(self.one(x).relu()).relu().mean(1))
        return logits


def test_what_a_model_notes_of_itself_is_as_before_after_an_analysis() -> None:
    model, inputs = Noting().eval(), torch.randn(2, 5, 4)
    with untouched(model):
        by_graph(model, inputs, logits_of)
        by_hooks(model, inputs, logits_of)
    assert model.longest == 0
    assert not hasattr(model, "seen")
    model(torch.randn(1, 7, 4))
    with untouched(model):
        by_graph(model, inputs, logits_of)
    assert (model.longest, model.lengths) == (7, [7])
    assert type(model.tables["table"]) is torch.Tensor
    torch.testing.assert_close(model(inputs), model(inputs))
