"""Samples of a torch Dataset, or of anything else with a length and positions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch.utils.data import IterableDataset

from offramp.errors import DataError
from offramp.inputs import Inputs, check_finite, select
from offramp.load import fingerprint
from offramp.load.labels import label_values, none_in
from offramp.load.pictures import from_pixels, is_picture
from offramp.load.preprocess import Preprocess, required
from offramp.sources import Labels

_LABELS = ("label", "labels")


@dataclass(frozen=True, eq=False)
class DatasetSource:
    """Items x or (x, y); y is dropped unless labels are asked for.

    A pair is always (x, y): a model of two inputs wants ((a, b), y), ((a, b), None) or a dict. Of a dict,
    `label` and `labels` are the y. Pictures (PIL, uint8) and texts are preprocessed; other tensors are taken
    as they are.
    """

    name: str
    dataset: Any
    preprocess: Preprocess | None

    def __len__(self) -> int:
        return len(self.dataset)

    def fingerprint(self) -> str:
        """sha256 of the type, the length, and the first, middle and last item."""
        ends = self.inputs(np.array([0, len(self) // 2, len(self) - 1]))
        return fingerprint.of_parts([type(self.dataset).__qualname__, str(len(self)), fingerprint.of_inputs(ends)])

    def inputs(self, indices: Int[np.ndarray, " batch"]) -> Inputs:
        """The samples, stacked."""
        positions = indices.tolist()
        batch = self._batch([_split(self.dataset[position], self.name)[0] for position in positions])
        for row, position in enumerate(positions):
            check_finite(select(batch, torch.tensor([row])), self.name, position)
        return batch

    def labels(self) -> Labels:
        """Class indices, by reading every item."""
        values = [_split(self.dataset[position], self.name)[1] for position in range(len(self))]
        if any(value is None for value in values):
            raise none_in(self.name, "let the dataset yield (x, y)")
        return label_values([value.item() if hasattr(value, "item") else value for value in values], self.name)

    def raw(self, index: int) -> Any:
        """An item as the dataset yields it, without its label; pixels as a picture."""
        item = _split(self.dataset[index], self.name)[0]
        if not _is_bytes(item):
            return item
        pixels = np.asarray(_channels_last(item))
        return from_pixels(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)

    @property
    def texts(self) -> tuple[str, ...]:
        """All items that are texts, which are all or none; read anew each time."""
        if not isinstance(_split(self.dataset[0], self.name)[0], str):
            return ()
        return tuple(_split(self.dataset[position], self.name)[0] for position in range(len(self)))

    def _batch(self, items: list[Any]) -> Inputs:
        first = items[0]
        if isinstance(first, Mapping):
            return {key: _stacked([item[key] for item in items], self.name) for key in first}
        if isinstance(first, tuple):
            return tuple(_stacked(list(column), self.name) for column in zip(*items, strict=True))
        if isinstance(first, str) or is_picture(first) or _is_bytes(first):
            preprocess = required(self.preprocess, f"{type(first).__name__} items", self.name)
            return preprocess.batch([_channels_last(item) for item in items])
        return _stacked(items, self.name)


def open_dataset(dataset: Any, preprocess: Preprocess | None, name: str) -> DatasetSource:
    """The items of a map-style dataset or a list."""
    if isinstance(dataset, IterableDataset):
        raise DataError(
            f"expected a map-style Dataset, got the IterableDataset {name}; give it __len__ and __getitem__"
        )
    if len(dataset) == 0:
        raise DataError(f"expected at least one item in {name}, got none")
    return DatasetSource(name, dataset, preprocess)


def _split(item: Any, name: str) -> tuple[Any, Any]:
    """An item as (x, y), y None if there is none."""
    if isinstance(item, Mapping):
        label = next((item[key] for key in _LABELS if key in item), None)
        return {key: value for key, value in item.items() if key not in _LABELS}, label
    if not isinstance(item, tuple | list):
        return item, None
    if len(item) not in {1, 2}:
        raise DataError(f"expected items x or (x, y) in {name}, got {len(item)} values; yield ((a, b), y) or a dict")
    x = tuple(item[0]) if isinstance(item[0], list) else item[0]
    return x, item[1] if len(item) == 2 else None


def _is_bytes(value: Any) -> bool:
    return isinstance(value, torch.Tensor | np.ndarray) and value.dtype in (torch.uint8, np.uint8) and value.ndim > 1


def _channels_last(item: Any) -> Any:
    """A picture tensor (C, H, W) as an array (H, W, C); anything else as it is."""
    if not isinstance(item, torch.Tensor):
        return item
    array = item.cpu().numpy()
    return array.transpose(1, 2, 0) if array.ndim == 3 and array.shape[0] in {1, 3} else array


def _stacked(values: Sequence[Any], name: str) -> torch.Tensor:
    try:
        tensors = [torch.as_tensor(value) for value in values]
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"expected tensors, pictures or texts from {name}, got {type(values[0]).__name__}") from error
    shapes = sorted({tuple(tensor.shape) for tensor in tensors})
    if len(shapes) > 1:
        raise DataError(f"expected items of one shape in {name}, got {shapes[0]} and {shapes[1]}; pad or resize them")
    batch = torch.stack(tensors)
    return batch.to(torch.float32) if batch.is_floating_point() else batch
