from pathlib import Path

import numpy as np
import torch
from PIL import Image

from offramp.load.combine import concatenated, subset
from offramp.load.image_preprocess import ImagePreprocess
from offramp.load.raw import raw
from offramp.load.sources import open_source
from tests.sources import Drawn
from tests.toys import CNN

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3), np.uint8)
PREPROCESS = ImagePreprocess(size=(4, 4), mean=(0.5,), std=(0.5,))


def test_pictures_are_as_they_were_before_they_were_made_ready(tmp_path: Path) -> None:
    for row, pixels in enumerate(PIXELS):
        Image.fromarray(pixels).save(tmp_path / f"{row}.png")
    dataset = [(torch.from_numpy(pixels).permute(2, 0, 1), 1) for pixels in PIXELS]
    for data in (str(tmp_path), PIXELS, dataset):
        assert np.array_equal(np.asarray(raw(open_source(data, PREPROCESS), 3)), PIXELS[3])


def test_grey_ones_have_no_channel() -> None:
    assert raw(open_source(PIXELS[..., :1], PREPROCESS), 0).size == (7, 6)


def test_parts_and_joined_sources_know_whose_sample_it_is() -> None:
    one, other = open_source(PIXELS[:2], PREPROCESS), open_source(PIXELS[2:], PREPROCESS)
    both = subset(concatenated([one, other]), np.array([4, 0, 2]))
    for place, row in enumerate([4, 0, 2]):
        assert np.array_equal(np.asarray(raw(both, place)), PIXELS[row])


def test_texts_and_numbers(tmp_path: Path) -> None:
    file = tmp_path / "numbers.csv"
    file.write_text("a,b,label\n1,2,0\n3,4,1\n")
    torch.testing.assert_close(raw(open_source(str(file)), 1), torch.tensor([3.0, 4.0]))
    named = {"ids": torch.arange(4).reshape(2, 2), "dense": torch.ones(2, 1)}
    found = raw(open_source(named), 1)
    assert {name: value.tolist() for name, value in found.items()} == {"ids": [2, 3], "dense": [1.0]}


def test_a_source_of_the_user_s_shows_what_the_model_takes() -> None:
    source = Drawn.of(CNN, 3)
    torch.testing.assert_close(raw(source, 2), source.inputs(np.array([2]))[0])  # type: ignore[index]
