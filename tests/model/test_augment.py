import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from offramp.errors import InputError
from offramp.model.augment import Augment


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def variants(image: torch.Tensor, shift: float, flip: bool) -> list[torch.Tensor]:
    """Every shifted and flipped copy of an image, by moving it about on a larger sheet of zeros."""
    _channels, height, width = image.shape
    down, right = int(shift * height), int(shift * width)
    found = []
    for source in (image, image.flip(2)) if flip else (image,):
        for dy in range(-down, down + 1):
            for dx in range(-right, right + 1):
                moved = torch.zeros_like(image)
                for y in range(height):
                    for x in range(width):
                        if 0 <= y + dy < height and 0 <= x + dx < width:
                            moved[:, y, x] = source[:, y + dy, x + dx]
                found.append(moved)
    return found


@settings(deadline=None, max_examples=25)
@given(
    st.integers(1, 3), st.integers(2, 6), st.integers(2, 5), st.sampled_from([0.0, 0.2, 0.4]), st.booleans(),
    st.integers(0, 99),
)  # fmt: skip
def test_a_copy_is_one_of_the_shifted_and_flipped_images(
    batch: int, height: int, width: int, shift: float, flip: bool, seed: int
) -> None:
    images = torch.randn(batch, 2, height, width, generator=generator(seed))
    before = images.clone()
    copies = Augment(1, flip, shift)(images, generator(seed + 1))
    assert isinstance(copies, torch.Tensor)
    torch.testing.assert_close(images, before, rtol=0, atol=0)
    for image, copy in zip(images, copies, strict=True):
        assert any(torch.equal(copy, variant) for variant in variants(image, shift, flip))


def test_all_variants_come_up() -> None:
    image = torch.arange(9.0).reshape(1, 1, 3, 3) + 1.0
    copies = Augment(1, True, 0.34)(image.expand(600, 1, 3, 3), generator(0))
    assert isinstance(copies, torch.Tensor)
    assert len({tuple(copy.flatten().tolist()) for copy in copies}) == len(variants(image[0], 0.34, True)) == 18


def test_same_seed_same_copies_and_torchs_own_state_is_left_alone() -> None:
    images, before = torch.randn(4, 3, 8, 8, generator=generator(0)), torch.get_rng_state()
    augment = Augment(1)
    torch.testing.assert_close(augment(images, generator(5)), augment(images, generator(5)), rtol=0, atol=0)
    assert not torch.equal(
        torch.as_tensor(augment(images, generator(5))), torch.as_tensor(augment(images, generator(6)))
    )
    torch.testing.assert_close(torch.get_rng_state(), before, rtol=0, atol=0)


@pytest.mark.parametrize("inputs", [torch.zeros(2, 4), (torch.zeros(2, 3, 4, 4),), {"x": torch.zeros(2, 3, 4, 4)}])
def test_only_images_can_be_augmented(inputs: object) -> None:
    with pytest.raises(InputError, match="expected images"):
        Augment(1)(inputs, generator(0))  # type: ignore[arg-type]


@pytest.mark.parametrize(("copies", "shift"), [(-1, 0.1), (1, -0.1), (1, 1.0)])
def test_refuses_impossible_wishes(copies: int, shift: float) -> None:
    with pytest.raises(InputError, match="copies >= 0, shift in"):
        Augment(copies, shift=shift)


@pytest.mark.parametrize("mix", [-0.1, 1.1])
def test_a_mix_that_is_no_share_is_refused(mix: float) -> None:
    with pytest.raises(InputError, match="mix in"):
        Augment(1, mix=mix)


def test_blends_are_mostly_the_image_itself_and_for_the_rest_one_other() -> None:
    """Each image is a corner of its own, so the weights can be read off the blend."""
    corners = torch.eye(9).reshape(9, 1, 3, 3)
    copies = Augment(1, flip=False, shift=0.0, mix=0.7)(corners, generator(2))
    assert isinstance(copies, torch.Tensor)
    weights = copies.reshape(9, 9)
    torch.testing.assert_close(weights.sum(1), torch.ones(9))
    assert bool((weights.diagonal() >= 0.5).all())
    assert all(int((row > 0).sum()) <= 2 for row in weights)
    assert 0 < int((weights.diagonal() < 1.0).sum()) < 9


def test_without_blending_nothing_is_blended() -> None:
    corners = torch.eye(9).reshape(9, 1, 3, 3)
    plain = Augment(1, flip=False, shift=0.0)(corners, generator(2))
    torch.testing.assert_close(torch.as_tensor(plain), corners, rtol=0, atol=0)


@pytest.mark.parametrize("mix", [-0.1, 1.1])
def test_refuses_impossible_shares_of_blends(mix: float) -> None:
    with pytest.raises(InputError, match="mix"):
        Augment(1, mix=mix)


def test_images_that_are_not_lent_are_blended_into_no_other() -> None:
    corners = torch.eye(9).reshape(9, 1, 3, 3)
    lend = torch.arange(9) % 2 == 0
    for seed in range(20):
        copies = Augment(1, flip=False, shift=0.0, mix=1.0)(corners, generator(seed), lend)
        assert isinstance(copies, torch.Tensor)
        others = copies.reshape(9, 9) - torch.diag(copies.reshape(9, 9).diagonal())
        assert float(others[:, ~lend].abs().max()) == 0.0
