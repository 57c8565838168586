"""What a small model is given, and how a bundle finds it again."""

import numpy as np
import pytest
import torch

from offramp.errors import InputError
from offramp.load.image_preprocess import ImagePreprocess
from offramp.load.preprocess import CallablePreprocess, Preprocess
from offramp.load.small import renormalisation, small_of
from tests.builds import bundle

GIVEN = ImagePreprocess((8, 8), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


@pytest.mark.parametrize(
    "own",
    [
        ImagePreprocess((8, 8), mean=(0.5,), std=(0.5, 0.4, 0.3)),
        ImagePreprocess((8, 8), mean=(0.1, 0.2, 0.3)),
        ImagePreprocess((8, 8), std=(2.0,)),
        ImagePreprocess((8, 8)),
    ],
)
def test_another_mean_and_std_are_made_up_for(own: ImagePreprocess) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    for mine, theirs in ((own, GIVEN), (GIVEN, own)):
        found = renormalisation(mine, theirs)
        assert found is not None
        scale, shift = (torch.tensor(values)[None, :, None, None] for values in found)
        torch.testing.assert_close(theirs.batch(pictures) * scale + shift, mine.batch(pictures))


@pytest.mark.parametrize(
    ("own", "given"),
    [
        (None, GIVEN),
        (GIVEN, None),
        (GIVEN, ImagePreprocess(**{name: getattr(GIVEN, name) for name in ("size", "mean", "std")})),
        (ImagePreprocess((8, 8), 9, crop=True), ImagePreprocess((8, 8), 10, crop=True, interpolation="bicubic")),
        (CallablePreprocess(torch.tensor, "mine"), CallablePreprocess(torch.tensor, "mine")),
    ],
)
def test_what_is_the_same_or_only_cut_otherwise_is_left_as_it_is(
    own: Preprocess | None, given: Preprocess | None
) -> None:
    assert renormalisation(own, given) is None


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (
            ImagePreprocess((9, 8)),
            r"of the backbone's size, channels and scale, \(\(8, 8\), 3, .* got one for \(\(9, 8\)",
        ),
        (ImagePreprocess((8, 8), channels=1), "channels"),
        (ImagePreprocess((8, 8), scale=1.0), "scale"),
        (CallablePreprocess(torch.tensor, "mine"), "got one for {'kind': 'callable', 'name': 'mine'}; choose another"),
    ],
)
def test_what_differs_in_more_is_refused(own: Preprocess, message: str) -> None:
    with pytest.raises(InputError, match=message):
        renormalisation(own, GIVEN)


def test_a_bundle_without_a_small_model_has_none() -> None:
    assert small_of(bundle()) is None
    with pytest.raises(InputError, match="leave --small out"):
        small_of(bundle(), "nets.py:net")
