import pytest
import torch
from torch import nn

from offramp.errors import UnknownNameError
from offramp.heads import NAMES, head_type
from offramp.heads.head import HeadType
from offramp.heads.reduction import Global, Grid
from offramp.testing.heads import HeadSuite


@pytest.mark.parametrize("name", sorted(NAMES))
class TestEveryName(HeadSuite):
    @pytest.fixture
    def head_type(self, name: str) -> HeadType:
        return head_type(name)


class TestDeep(HeadSuite):
    @pytest.fixture
    def head_type(self) -> HeadType:
        return HeadType(Grid(2), hidden=(12, 8, 6), dropout=0.2)


def test_layers_are_as_asked_for() -> None:
    head = HeadType(Global(), hidden=(7,), dropout=0.25).build((8, 6, 6), 3, torch.Generator())
    sizes = [(layer.in_features, layer.out_features) for layer in head.modules() if isinstance(layer, nn.Linear)]
    assert sizes == [(8, 7), (7, 3)]
    assert [layer.p for layer in head.modules() if isinstance(layer, nn.Dropout)] == [0.25]


def test_initial_weights_have_torchs_own_distribution() -> None:
    head = HeadType(Grid(4)).build((50,), 400, torch.Generator().manual_seed(0))
    weight = next(head.parameters()).detach()
    bound = 50**-0.5
    assert float(weight.abs().max()) <= bound
    assert float(weight.std()) == pytest.approx(bound / 3**0.5, rel=0.02)
    reference = nn.Linear(50, 400).weight.detach()
    assert float(reference.std()) == pytest.approx(float(weight.std()), rel=0.03)


def test_an_unknown_head_is_refused_by_name() -> None:
    with pytest.raises(UnknownNameError, match="expected a head among grid-mlp"):
        head_type("huge")
