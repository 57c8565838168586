import pytest
import torch
from torch import nn

from offramp.errors import UnknownNameError
from offramp.heads import NAMES, head_type
from offramp.heads.convolutions import Convolutions
from offramp.heads.head import HeadType
from offramp.heads.mixed import MixedPooling
from offramp.heads.reduction import Extremes, Global, Grid, Whole
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


@pytest.mark.parametrize("side", [8, 16, 12])
def test_sdn_pooling_is_torchs_pooling_mixed_by_one_number(side: int) -> None:
    """Kernel and stride of a quarter of the side, as in the paper."""
    head = head_type("sdn").build((3, side, side), 5, torch.Generator().manual_seed(1))
    (mix,) = (layer for layer in head.modules() if isinstance(layer, MixedPooling))
    assert 0.0 <= mix.share.item() <= 1.0
    feature = torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(0))
    largest, mean = (pool(side // 4)(feature) for pool in (nn.MaxPool2d, nn.AvgPool2d))
    expected = (mix.share * largest + (1 - mix.share) * mean).flatten(1)
    torch.testing.assert_close(mix(head.reduce(feature)), expected)


def test_a_small_map_is_not_pooled_by_sdn() -> None:
    feature = torch.randn(4, 3, 2, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(Extremes(4)(feature), torch.cat([feature.flatten(1)] * 2, dim=1))


@pytest.mark.parametrize("shape", [(8, 9, 7), (9, 9, 8), (11, 16), (24,), (4, 2, 3, 5)])
@pytest.mark.parametrize("layers", [((6, 3, 2),), ((6, 5, 3), (4, 1, 1)), ((2, 3, 3), (3, 5, 2))])
def test_convolutions_leave_as_many_numbers_as_they_say(
    shape: tuple[int, ...], layers: tuple[tuple[int, int, int], ...]
) -> None:
    head = HeadType(Whole(), stem=Convolutions(layers)).build(shape, 5, torch.Generator().manual_seed(0))
    assert head(torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))).shape == (2, 5)


def test_convolutions_run_over_the_map_as_the_model_has_it() -> None:
    """A map with its channels last gives what the same map with its channels first gives."""
    kind = HeadType(Whole(), stem=Convolutions(((6, 3, 2),)))
    first, last = (kind.build(shape, 5, torch.Generator().manual_seed(0)) for shape in ((8, 6, 6), (6, 6, 8)))
    feature = torch.randn(2, 8, 6, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(first(feature), last(feature.permute(0, 2, 3, 1)))
    conv = next(layer for layer in first.modules() if isinstance(layer, nn.Conv2d))
    stem = first.net[0]
    torch.testing.assert_close(stem(first.reduce(feature)), conv(feature).relu().flatten(1))


def test_gatis_predictors() -> None:
    feature = torch.randn(2, 8, 6, 6, generator=torch.Generator().manual_seed(0))
    flat = feature.flatten(1)
    torch.testing.assert_close(Whole()(feature), flat)
    torch.testing.assert_close(Whole(100)(feature), nn.AdaptiveAvgPool1d(100)(flat))
    torch.testing.assert_close(Whole(4096)(feature), flat)
    head = head_type("gati-conv").build((8, 6, 6), 5, torch.Generator().manual_seed(0))
    conv = next(layer for layer in head.modules() if isinstance(layer, nn.Conv1d))
    assert (conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride) == (1, 1, (5,), (5,))
    torch.testing.assert_close(head.net[0](flat), conv(flat[:, None]).relu()[:, 0])


def test_padding_is_no_maximum() -> None:
    tokens = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[1, 1, 0, 0, 0], [1, 1, 1, 1, 1]])
    found = Extremes()(tokens, mask)[0]
    torch.testing.assert_close(found, torch.cat([tokens[0, :2].amax(0), tokens[0, :2].mean(0)]))
