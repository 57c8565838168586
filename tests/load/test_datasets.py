from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from offramp.errors import DataError
from offramp.load.datasets import open_dataset
from offramp.load.image_preprocess import ImagePreprocess
from offramp.load.preprocess import CallablePreprocess
from offramp.load.sources import open_source

from .conftest import picture

SOME = np.array([2, 0])
SMALL = ImagePreprocess(size=(4, 4), mean=(0.5,))


class Items(Dataset[Any]):
    def __init__(self, *items: Any) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


class Endless(IterableDataset[int]):
    def __iter__(self) -> Iterator[int]:
        return iter(())


class Pairs(Items):
    """Labels that must not be looked at."""

    def __getitem__(self, index: int) -> Any:
        return self.items[index], Untouchable()


class Untouchable:
    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"label.{name} was read")


def test_tensors_are_taken_as_they_are() -> None:
    x, y = torch.rand(3, 3, 4, 4), torch.tensor([5, 6, 7])
    source = open_source(TensorDataset(x, y), SMALL)
    assert_close(source.inputs(SOME), x[[2, 0]])
    assert source.labels().tolist() == [5, 6, 7]


def test_labels_are_dropped_unread() -> None:
    source = open_dataset(Pairs(torch.rand(2), torch.rand(2)), None, "pairs")
    assert_close(source.inputs(np.array([1])), source.inputs(np.arange(2))[1:])  # type: ignore[index]
    assert source.fingerprint()


@pytest.mark.parametrize("label", [3, np.int64(3), torch.tensor(3)])
def test_labels_of_any_number_type(label: Any) -> None:
    assert open_source([(torch.rand(2), label)] * 2).labels().tolist() == [3, 3]


def test_pictures_are_preprocessed() -> None:
    images = [picture(seed) for seed in range(3)]
    arrays = [np.asarray(image) for image in images]
    tensors = [torch.from_numpy(array.copy()).permute(2, 0, 1) for array in arrays]
    expected = SMALL.batch([images[2], images[0]])
    for items in (images, arrays, tensors):
        assert_close(open_source(Items(*items), SMALL).inputs(SOME), expected)


def test_a_function_may_preprocess() -> None:
    function = CallablePreprocess(lambda image: torch.tensor(float(image.width)), "width")
    assert_close(open_source([picture(0), picture(1, 50)], function).inputs(np.arange(2)), torch.tensor([40.0, 50.0]))


def test_several_inputs() -> None:
    a, b = torch.rand(3, 2), np.arange(3.0)
    expected = (a[[2, 0]], torch.tensor([2.0, 0.0]))
    assert_close(open_source([((a[i], b[i]), i) for i in range(3)]).inputs(SOME), expected)
    named = open_source([{"a": a[i], "b": b[i], "label": i} for i in range(3)])
    assert_close(named.inputs(SOME), {"a": expected[0], "b": expected[1]})
    assert named.labels().tolist() == [0, 1, 2]


def test_nan_is_named_by_its_position() -> None:
    items = [torch.ones(2), torch.ones(2), torch.tensor([1.0, torch.nan])]
    with pytest.raises(DataError, match=r"NaN or infinity in sample 2"):
        open_dataset(items, None, "items").inputs(np.array([0, 2]))


def test_without_labels() -> None:
    with pytest.raises(DataError, match=r"expected labels in Items, got none; let the dataset yield \(x, y\)"):
        open_source(Items(torch.rand(2))).labels()


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([torch.rand(2), torch.rand(3)], r"items of one shape in list, got \(2,\) and \(3,\)"),
        ([(1.0, 2, 3)], r"expected items x or \(x, y\) in list, got 3 values"),
        ([object()], "expected tensors, pictures or texts from list, got object"),
        (["text"], "preprocessing for the str items in list, the model brings none"),
        ([Image.new("RGB", (3, 3))], "preprocessing for the Image items in list"),
    ],
)
def test_unfit_items_are_refused(items: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_dataset(items, None, "list").inputs(np.arange(len(items)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Items(), "expected at least one item in Items, got none"),
        (Endless(), "expected a path, tensor.*got Endless"),
        (DataLoader(Items(1, 2)), "got DataLoader; of a DataLoader pass its dataset"),
        (3, "expected a path, tensor, array"),
    ],
)
def test_unfit_datasets_are_refused(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_source(data)
