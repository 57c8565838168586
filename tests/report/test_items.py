import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from offramp.report.items import EDGE, LONGEST, answer, shown


def decoded(uri: str) -> np.ndarray:
    head, _, body = uri.partition(",")
    assert head in ("data:image/png;base64", "data:image/jpeg;base64")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))))


def test_a_small_picture_comes_back_pixel_by_pixel() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 24, 3), np.uint8)
    assert np.array_equal(decoded(shown(Image.fromarray(pixels))["picture"]), pixels)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1", "I;16"])
def test_a_large_one_of_any_kind_fits(mode: str) -> None:
    picture = Image.new(mode, (900, 300)) if mode == "I;16" else Image.new("RGB", (900, 300), "red").convert(mode)
    found = decoded(shown(picture)["picture"])
    assert found.shape[:2] == (round(EDGE / 3), EDGE)


def test_tensors_of_pixels_are_spread_over_what_can_be_seen() -> None:
    found = decoded(shown(torch.linspace(-2.0, 3.0, 3 * 8 * 8).reshape(3, 8, 8))["picture"])
    assert (found.shape, found.min(), found.max()) == ((8, 8, 3), 0, 255)
    assert decoded(shown(torch.zeros(1, 8, 8))["picture"]).max() == 0  # nothing to spread


def test_long_things_are_cut() -> None:
    assert len(shown("x" * 1000)["text"]) == LONGEST
    assert shown(torch.arange(40).reshape(2, 20))["text"].endswith("10, 11, … (2 x 20 numbers)")
    assert shown((torch.tensor([1, 2]), torch.tensor([0.5])))["text"] == "1, 2; 0.5"


def test_classes_without_a_name_are_numbers() -> None:
    assert answer(np.int64(7), ["cat"]) == "7"
    assert answer(np.array([0.25, 3.0])) == "0.25, 3"
