import io
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm.data
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.testing import assert_close
from torchvision import transforms
from torchvision.transforms._presets import ImageClassification
from torchvision.transforms.functional import InterpolationMode

from offramp.errors import DataError, InputError
from offramp.load.image_preprocess import ImagePreprocess

from .conftest import picture

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CIFAR = ImagePreprocess(mean=MEAN, std=STD)


def first_pictures(tar: Path, count: int) -> list[Image.Image]:
    with tarfile.open(tar) as archive:
        members = [member for member in archive if member.isfile()][:count]
        streams = [archive.extractfile(member) for member in members]
        return [Image.open(io.BytesIO(stream.read())).convert("RGB") for stream in streams if stream is not None]


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(5, 90),
    height=st.integers(5, 90),
    resize=st.integers(5, 60),
    crop=st.integers(3, 70),
    interpolation=st.sampled_from(["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]),
)
def test_equals_torchvision(width: int, height: int, resize: int, crop: int, interpolation: str) -> None:
    image = picture(0, width, height)
    theirs = ImageClassification(
        crop_size=crop, resize_size=resize, mean=MEAN, std=STD, interpolation=InterpolationMode(interpolation)
    )
    ours = ImagePreprocess((crop, crop), resize, crop=True, mean=MEAN, std=STD, interpolation=interpolation)
    assert_close(ours(image), theirs(image), rtol=0, atol=0)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_equals_torchvision_and_timm_on_real_pictures(shared: Callable[[str], Path], interpolation: str) -> None:
    images = first_pictures(shared("imagenet_val/images_dev650.tar"), 20)
    theirs = ImageClassification(crop_size=224, interpolation=InterpolationMode(interpolation))
    timms: Any = timm.data.create_transform(
        (3, 224, 224), interpolation=interpolation, mean=MEAN, std=STD, crop_pct=0.875
    )
    ours = ImagePreprocess((224, 224), 256, crop=True, mean=MEAN, std=STD, interpolation=interpolation)
    assert_close(ours.batch(images), torch.stack([theirs(image) for image in images]), rtol=0, atol=0)
    assert_close(ours.batch(images), torch.stack([timms(image) for image in images]))


def test_squashes_to_the_size() -> None:
    image = picture(1, 50, 20)
    theirs = transforms.Compose([transforms.Resize((12, 16)), transforms.ToTensor()])
    assert_close(ImagePreprocess(size=(12, 16))(image), theirs(image))


def test_squashes_then_crops() -> None:
    image = picture(1, 50, 20)
    theirs = transforms.Compose([transforms.Resize((16, 20)), transforms.CenterCrop(12), transforms.ToTensor()])
    assert_close(ImagePreprocess(size=(12, 12), resize=(16, 20), crop=True)(image), theirs(image))


def test_a_batch_of_arrays_equals_its_pictures() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 9, 3), dtype=np.uint8)
    singles = torch.stack([CIFAR(Image.fromarray(image)) for image in images])
    assert_close(CIFAR.batch(images), singles, rtol=0, atol=0)
    assert_close(CIFAR.batch(list(images)), singles, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("shape", "channels"), [((4, 6, 6), 3), ((4, 6, 6, 1), 3), ((4, 6, 6, 3), 1), ((4, 6, 6, 4), 3)]
)
def test_colours_follow_pil(shape: tuple[int, ...], channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    mode = "L" if channels == 1 else "RGB"
    expected = [np.asarray(Image.fromarray(image.squeeze()).convert(mode)).reshape(6, 6, channels) for image in images]
    values = ImagePreprocess(channels=channels).batch(images)
    assert_close(values, torch.from_numpy(np.stack(expected)).permute(0, 3, 1, 2).float() / 255)


def test_cifar_is_fast() -> None:
    images = np.zeros((5000, 32, 32, 3), np.uint8)
    seconds = []
    for _ in range(3):  # the machine may be busy with something else
        start = time.perf_counter()
        assert CIFAR.batch(images).shape == (5000, 3, 32, 32)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1


def test_the_scale_can_be_one() -> None:
    lite = ImagePreprocess(mean=(127.0,), std=(128.0,), scale=1.0)
    assert_close(lite(np.full((2, 2, 3), 255, np.uint8)), torch.ones(3, 2, 2))


def test_floats_are_only_normalised() -> None:
    floats = torch.rand(4, 3, 5, 5)
    expected = transforms.Normalize(MEAN, STD)(floats)
    assert_close(ImagePreprocess(size=(9, 9), mean=MEAN, std=STD).batch(floats.numpy()), expected)
    assert_close(ImagePreprocess().batch(floats), floats)
    assert_close(ImagePreprocess(mean=(0.5,), std=(2.0,)).batch(torch.ones(2, 7)), torch.full((2, 7), 0.25))


def test_floats_of_other_channels_are_refused() -> None:
    with pytest.raises(DataError, match=r"expected 3 channels on axis 1 .* got shape \(2, 7\)"):
        CIFAR.batch(torch.ones(2, 7))


def test_ragged_pictures_are_refused() -> None:
    with pytest.raises(DataError, match=r"one size, got \(30, 40\) and \(30, 50\); give the preprocessing a size"):
        CIFAR.batch([picture(0), picture(0, 50)])


def test_texts_are_refused() -> None:
    with pytest.raises(DataError, match=r"expected pictures, got str"):
        CIFAR.batch(["a text"])


def test_odd_arrays_are_refused() -> None:
    with pytest.raises(DataError, match=r"expected a uint8 picture .* got uint8 \(2, 3, 7\)"):
        CIFAR(np.zeros((2, 3, 7), np.uint8))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"channels": 2}, "channels 1 or 3, got 2"),
        ({"interpolation": "cubic"}, "interpolation among .*bicubic.*; got 'cubic'"),
        ({"crop": True}, "expected a size to crop to"),
        ({"size": (4, 4), "resize": 5}, "expected crop=True with both"),
        ({"mean": (0.1, 0.2)}, "expected 1 or 3 values of mean, got 2"),
        ({"std": (0.0,)}, "expected std above 0"),
    ],
)
def test_senseless_fields_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ImagePreprocess(**fields)
