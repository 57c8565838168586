from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from offramp.heads.head import HeadType
from offramp.heads.reduction import Attend, Global, Grid, Reduction, cell_means, is_turned


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), st.integers(1, 5))
def test_a_grid_cell_is_the_mean_of_its_pixels(batch: int, channels: int, height: int, width: int, size: int) -> None:
    channels += 10  # more channels than pixels per side, so that the layout is plain
    maps = draw(batch, channels, height, width)
    rows, columns = min(size, height), min(size, width)
    expected = [
        maps[
            b,
            c,
            r * height // rows : -(-(r + 1) * height // rows),
            k * width // columns : -(-(k + 1) * width // columns),
        ]
        .mean()
        .item()
        for b in range(batch)
        for c in range(channels)
        for r in range(rows)
        for k in range(columns)
    ]
    found = Grid(size)(maps)
    torch.testing.assert_close(found, torch.tensor(expected).reshape(batch, -1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(64, 64), (64, 128), (176, 176), (65, 64), (64, 60), (32, 256)])
@pytest.mark.parametrize("batch", [0, 1, 3])
def test_cells_of_any_size_are_pooled_as_pytorch_pools_them(shape: tuple[int, int], batch: int) -> None:
    maps = draw(batch, 3, *shape)
    pooled = torch.nn.functional.adaptive_avg_pool2d(maps.double(), (4, 4))
    torch.testing.assert_close(cell_means(maps, 4, 4).double(), pooled, rtol=1e-5, atol=1e-6)


@given(st.integers(1, 4), st.integers(2, 6), st.integers(1, 8))
def test_tokens(batch: int, tokens: int, width: int) -> None:
    feature = draw(batch, tokens, width)
    mean = sum(feature[:, t] for t in range(tokens)) / tokens
    torch.testing.assert_close(Global()(feature), mean)
    torch.testing.assert_close(Grid()(feature), torch.cat([feature[:, 0], torch.as_tensor(mean)], dim=1))


@pytest.mark.parametrize("reduction", [Grid(3), Attend(3), Global()])
def test_turned_features_reduce_as_usual_ones(reduction: Grid | Attend | Global) -> None:
    turned = replace(reduction, turned=True)
    for maps in (draw(2, 11, 6, 6), draw(2, 6, 6, 6), draw(2, 5, 6, 9)):
        torch.testing.assert_close(turned(maps.permute(0, 2, 3, 1)), reduction(maps))
    tokens = draw(2, 7, 5)
    mask = torch.tensor([[1] * 7, [1] * 3 + [0] * 4])
    torch.testing.assert_close(turned(tokens.transpose(1, 2), mask), reduction(tokens, mask))


@pytest.mark.parametrize("reduction", [Grid(3), Attend(3), Global()])
def test_a_vector_stays_itself_and_a_volume_is_averaged(reduction: Reduction) -> None:
    vector, volume = draw(2, 7), draw(2, 7, 2, 3, 4)
    torch.testing.assert_close(reduction(vector), vector)
    torch.testing.assert_close(reduction(volume), volume.mean(dim=(2, 3, 4)))


def test_the_global_average_of_a_map_is_over_its_pixels() -> None:
    maps = draw(2, 11, 5, 3)
    torch.testing.assert_close(Global()(maps), maps.mean(dim=(2, 3)))


@pytest.mark.parametrize(
    ("shape", "tokens", "turned"),
    [
        ((8, 6, 6), None, False),
        ((6, 6, 8), None, True),
        ((6, 6, 6), None, False),
        ((8, 6, 5), None, False),
        ((1, 1, 9), None, True),
        ((9, 16), 9, False),
        ((16, 9), 9, True),
        ((9, 9), 9, False),
        ((16, 9), None, False),
        ((9,), 9, False),
    ],
)
def test_where_the_channels_are(shape: tuple[int, ...], tokens: int | None, turned: bool) -> None:
    assert is_turned(shape, tokens) is turned


def test_a_head_keeps_its_layout_at_another_resolution() -> None:
    """A map (96, 96, 96) may have its channels anywhere; where they are was seen at (56, 56, 96)."""
    head = HeadType(Global()).build((56, 56, 96), 3, torch.Generator())
    feature = draw(1, 96, 96, 96)
    torch.testing.assert_close(head.reduce(feature), feature.mean(dim=(1, 2)))


def test_names_tell_reductions_apart() -> None:
    assert len({Grid(2).name, Grid(4).name, Grid(4, turned=True).name, Attend(4).name, Global().name}) == 5


@pytest.mark.parametrize("reduction", [Grid(), Attend(), Global()])
def test_padding_does_not_count(reduction: Reduction) -> None:
    """A padded sequence reduces as it would alone, whatever stands in the padding."""
    feature, lengths = draw(3, 7, 5), (7, 4, 1)
    mask = torch.tensor([[1] * length + [0] * (7 - length) for length in lengths])
    found = reduction(feature.masked_fill(mask[:, :, None] == 0, 1e6), mask)
    for sample, length in enumerate(lengths):
        alone = reduction(feature[sample : sample + 1, :length])
        torch.testing.assert_close(found[sample : sample + 1], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("reduction", [Grid(), Attend(), Global()])
def test_a_mask_of_other_tokens_is_not_used(reduction: Reduction) -> None:
    """Models that merge tokens have fewer than the mask has, and maps have none."""
    for shape in ((3, 6, 5), (3, 11, 4, 4)):
        torch.testing.assert_close(reduction(draw(*shape), torch.zeros(3, 7)), reduction(draw(*shape)))


def test_what_the_first_token_attends_to_is_scaled_dot_product_attention() -> None:
    feature = draw(2, 6, 8)
    expected = torch.nn.functional.scaled_dot_product_attention(feature[:, :1], feature, feature)[:, 0]
    torch.testing.assert_close(Attend()(feature)[:, 16:], expected)
