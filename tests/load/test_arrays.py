from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from offramp.errors import DataError
from offramp.load.image_preprocess import ImagePreprocess
from offramp.load.sources import open_source
from offramp.load.tokens import TokenPreprocess

PLAIN = ImagePreprocess()
SOME = np.array([2, 0])


def random_images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize("shape", [(3, 5, 6, 3), (3, 5, 6)])
def test_pictures_are_preprocessed(kind: Any, shape: tuple[int, ...]) -> None:
    images = random_images(*shape)
    source = open_source(kind(images), PLAIN)
    assert len(source) == 3
    assert_close(source.inputs(SOME), PLAIN.batch(images[SOME]))


def test_channels_may_come_first() -> None:
    images = random_images(3, 3, 5, 6)
    expected = torch.from_numpy(images[SOME]).float() / 255
    assert_close(open_source(torch.from_numpy(images), PLAIN).inputs(SOME), expected)


def test_floats_are_taken_as_they_are() -> None:
    x = torch.rand(3, 4, dtype=torch.float64)
    assert_close(open_source(x).inputs(SOME), x[[2, 0]].float())
    assert_close(open_source(x.numpy()).inputs(SOME), x[[2, 0]].float())


def test_floats_are_normalised_where_the_model_says_how() -> None:
    x = torch.rand(3, 3, 4, 4)
    preprocess = ImagePreprocess(mean=(0.5,), std=(0.5,))
    assert_close(open_source(x, preprocess).inputs(SOME), (x[[2, 0]] - 0.5) / 0.5)


def test_several_inputs() -> None:
    a, b = torch.rand(3, 2), torch.arange(3, dtype=torch.int32)
    pair = open_source(((a, b), None)).inputs(SOME)
    named = open_source({"a": a, "b": b}).inputs(SOME)
    assert_close(pair, (a[[2, 0]], torch.tensor([2, 0])))
    assert_close(named, {"a": a[[2, 0]], "b": torch.tensor([2, 0])})


@pytest.mark.parametrize("y", [torch.tensor([4, 5, 6]), np.array([4, 5, 6], np.uint8)])
def test_labels_of_a_pair(y: Any) -> None:
    assert open_source((torch.rand(3, 2), y)).labels().tolist() == [4, 5, 6]
    assert open_source((random_images(3, 4, 4), y), PLAIN).labels().tolist() == [4, 5, 6]


def test_labels_are_not_looked_at_until_asked_for() -> None:
    source = open_source((torch.rand(3, 2), np.array([1, 2])))
    source.inputs(SOME)
    assert source.fingerprint()
    with pytest.raises(DataError, match=r"expected 3 labels in tuple, one per sample, got 2"):
        source.labels()


def test_without_labels() -> None:
    with pytest.raises(DataError, match=r"expected labels in Tensor, got none; add an array y"):
        open_source(torch.rand(3, 2)).labels()


def test_equal_data_has_equal_fingerprints() -> None:
    x = torch.rand(3, 4)
    assert open_source(x).fingerprint() == open_source((x.numpy().copy(), [1, 2, 3])).fingerprint()
    assert open_source(x).fingerprint() != open_source(x + 1).fingerprint()
    assert open_source(x).fingerprint() != open_source(x.reshape(4, 3)).fingerprint()
    assert len(open_source(random_images(2, 3, 3), PLAIN).fingerprint()) == 64


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (torch.tensor([[1.0], [2.0], [float("nan")]]), "NaN or infinity in sample 2"),
        (np.array([1.0, np.inf]), "NaN or infinity in sample 1"),
        (torch.rand(0, 3), "at least one sample in Tensor"),
        (np.zeros((0, 4, 4), np.uint8), r"at least one picture in ndarray, got shape \(0, 4, 4\)"),
        (np.zeros((2, 9), np.uint8), r"uint8 pictures .* got shape \(2, 9\); give other data as floats"),
        (np.zeros((2, 9, 9, 7), np.uint8), r"uint8 pictures .* got shape \(2, 9, 9, 7\)"),
        (np.array([np.zeros(2), np.zeros(3)], dtype=object), "an array of numbers .* dtype object"),
        (np.array(["a"]), "an array of numbers"),
        ({"a": torch.rand(2, 2), "b": torch.rand(3, 2)}, "common batch size"),
        ({"a": [1.0]}, "expected tensors or arrays in dict, got list"),
        ((torch.rand(2), torch.rand(2), torch.rand(2)), r"expected a pair \(x, y\), got a tuple of 3"),
    ],
)
def test_unfit_data_is_refused(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_source(data, PLAIN)


def test_pictures_need_preprocessing() -> None:
    with pytest.raises(
        DataError, match=r"preprocessing for the pictures in ndarray, the model brings none; give --mean"
    ):
        open_source(random_images(2, 3, 3))


def test_a_text_model_takes_no_arrays() -> None:
    with pytest.raises(DataError, match=r"expected texts for this model, got an array"):
        open_source(torch.rand(2, 3), TokenPreprocess("x"))
