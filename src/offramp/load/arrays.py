"""Samples in memory: arrays and tensors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, UInt8

from offramp.errors import DataError
from offramp.inputs import Inputs, batch_size, check_finite, leaves, select
from offramp.load import fingerprint
from offramp.load.image_preprocess import ImagePreprocess
from offramp.load.labels import label_values, none_in, same_length
from offramp.load.pictures import Picture, from_pixels
from offramp.load.preprocess import Preprocess, required
from offramp.load.tokens import TokenPreprocess
from offramp.sources import Labels

ReadLabels = Callable[[], Any]
"""Fetches labels when called; None from it means that there are none."""


@dataclass(frozen=True, eq=False)
class ImageArray:
    """uint8 pictures `(N, H, W)` or `(N, H, W, C)`."""

    name: str
    images: UInt8[np.ndarray, "N ..."]
    preprocess: Preprocess
    read_labels: ReadLabels

    def __len__(self) -> int:
        return len(self.images)

    def fingerprint(self) -> str:
        """sha256 of the pixels."""
        return fingerprint.of_array(self.images)

    def inputs(self, indices: Int[np.ndarray, " batch"]) -> Inputs:
        """The preprocessed pictures."""
        return self.preprocess.batch(self.images[indices])

    def raw(self, index: int) -> Picture:
        """A picture of the array."""
        pixels = self.images[index]
        return from_pixels(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)

    def labels(self) -> Labels:
        """Class indices."""
        return _labels(self.read_labels, len(self), self.name)


@dataclass(frozen=True, eq=False)
class TensorSource:
    """Tensors as the model takes them, or floats that lack only normalisation."""

    name: str
    values: Inputs
    normalise: ImagePreprocess | None
    read_labels: ReadLabels

    def __len__(self) -> int:
        return batch_size(self.values)

    def fingerprint(self) -> str:
        """sha256 of the values."""
        return fingerprint.of_inputs(self.values)

    def inputs(self, indices: Int[np.ndarray, " batch"]) -> Inputs:
        """The samples."""
        chosen = select(self.values, torch.from_numpy(np.asarray(indices, np.int64)))
        if self.normalise is not None and isinstance(chosen, torch.Tensor) and chosen.is_floating_point():
            return self.normalise.normalised(chosen)
        return chosen

    def labels(self) -> Labels:
        """Class indices."""
        return _labels(self.read_labels, len(self), self.name)


def open_array(
    x: Any, y: Any, preprocess: Preprocess | None, name: str, read_labels: ReadLabels | None = None
) -> ImageArray | TensorSource:
    """The samples `x` (array, tensor, or a tuple or dict of tensors) with labels `y` or `read_labels()`."""
    read = read_labels or (lambda: y)
    if isinstance(x, torch.Tensor) and x.dtype == torch.uint8:
        x = x.detach().cpu().numpy()
    if isinstance(x, np.ndarray) and x.dtype == np.uint8:
        return ImageArray(name, _images(x, name), required(preprocess, "pictures", name), read)
    if isinstance(preprocess, TokenPreprocess) and not isinstance(x, dict | tuple):
        raise DataError(f"expected texts for this model, got an array in {name}; give a table with a column of text")
    values = _tensors(x, name)
    for tensor in leaves(values):
        check_finite(tensor, name)
    normalise = preprocess if isinstance(preprocess, ImagePreprocess) else None
    return TensorSource(name, values, normalise, read)


def _images(x: UInt8[np.ndarray, "..."], name: str) -> UInt8[np.ndarray, "N ..."]:
    """The pictures with channels last."""
    if x.ndim == 4 and x.shape[3] not in {1, 3, 4} and x.shape[1] in {1, 3}:
        x = x.transpose(0, 2, 3, 1)
    if x.ndim not in {3, 4} or (x.ndim == 4 and x.shape[3] not in {1, 3, 4}):
        raise DataError(
            f"expected uint8 pictures (N, H, W) or (N, H, W, C) in {name}, got shape {x.shape}; give "
            "other data as floats"
        )
    if x.size == 0:
        raise DataError(f"expected at least one picture in {name}, got shape {x.shape}")
    return x


def _tensors(x: Any, name: str) -> Inputs:
    if isinstance(x, dict):
        values: Inputs = {str(key): _tensor(value, name) for key, value in x.items()}
    elif isinstance(x, tuple):
        values = tuple(_tensor(value, name) for value in x)
    else:
        values = _tensor(x, name)
    if all(tensor.ndim and len(tensor) == 0 for tensor in leaves(values)):
        raise DataError(f"expected at least one sample in {name}, got none; check how it was made")
    batch_size(values)
    return values


def _tensor(value: Any, name: str) -> torch.Tensor:
    """Floats as float32, whole numbers as int64, truth values as they are."""
    if isinstance(value, np.ndarray) and value.dtype.kind not in "biuf":
        raise DataError(
            f"expected an array of numbers in {name}, got dtype {value.dtype} (samples of different "
            "shapes?); give all samples one shape"
        )
    if not isinstance(value, torch.Tensor | np.ndarray):
        raise DataError(f"expected tensors or arrays in {name}, got {type(value).__name__}")
    tensor = value.detach().cpu() if isinstance(value, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(value))
    if tensor.is_floating_point():
        return tensor.to(torch.float32)
    return tensor if tensor.dtype == torch.bool else tensor.to(torch.int64)


def _labels(read: ReadLabels, count: int, name: str) -> Labels:
    values = read()
    if values is None:
        raise none_in(name, "add an array y, one class index per sample")
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    return same_length(label_values(values, name), count, name)
