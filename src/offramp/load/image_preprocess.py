"""From pictures to a batch: resize, crop, scale, normalise."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8

from offramp.errors import DataError, InputError
from offramp.load.pictures import INTERPOLATIONS, Picture, from_pixels, is_picture, resized

_MODES = {1: "L", 3: "RGB"}


@dataclass(frozen=True, slots=True)
class ImagePreprocess:
    """What a model expects to be done to a picture; for PIL pictures the same as torchvision and timm do.

    The picture is resized, then brought to `size`, then `(pixels * scale - mean) / std`.
    Values that are floats already (a batch prepared by the user) are only normalised.

    Attributes:
        size: (height, width) of the result; None keeps what `resize` gives.
        resize: the shorter edge, or (height, width), to resize to first; None goes straight to `size`.
        crop: whether `size` is cut from the centre (and padded with black), instead of squashed to.
        mean: one per channel, or one for all; None subtracts nothing.
        std: one per channel, or one for all; None divides by nothing.
        interpolation: `nearest`, `box`, `bilinear`, `hamming`, `bicubic` or `lanczos`.
        scale: what a pixel value of 0..255 is multiplied with.
        channels: 1 (grey) or 3 (RGB).

    Examples:
        >>> preprocess = ImagePreprocess(size=(4, 4), resize=5, crop=True, mean=(0.5,), std=(0.5,))
        >>> preprocess(np.zeros((10, 20, 3), np.uint8)).shape
        torch.Size([3, 4, 4])
    """

    size: tuple[int, int] | None = None
    resize: int | tuple[int, int] | None = None
    crop: bool = False
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    interpolation: str = "bilinear"
    scale: float = 1 / 255
    channels: int = 3

    def __post_init__(self) -> None:
        if self.channels not in _MODES:
            raise InputError(f"expected channels 1 or 3, got {self.channels}")
        if self.interpolation.lower() not in INTERPOLATIONS:
            raise InputError(f"expected interpolation among {', '.join(INTERPOLATIONS)}; got {self.interpolation!r}")
        if self.crop and self.size is None:
            raise InputError("expected a size to crop to, got none; give size=(height, width)")
        if self.resize is not None and self.size is not None and not self.crop:
            raise InputError(
                f"expected crop=True with both resize={self.resize} and size={self.size}; drop one of them"
            )
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and len(values) not in {1, self.channels}:
                raise InputError(f"expected 1 or {self.channels} values of {name}, got {len(values)}")
        if self.std is not None and min(self.std) <= 0:
            raise InputError(f"expected std above 0, got {self.std}")

    def __call__(self, image: Picture | UInt8[np.ndarray, "..."]) -> Float[torch.Tensor, "channels height width"]:
        """One picture, a PIL image or uint8 `(H, W)` or `(H, W, C)`, as the model takes it."""
        picture = (_picture(image) if isinstance(image, np.ndarray) else image).convert(_MODES[self.channels])
        height, width = self._resized(picture.height, picture.width)
        if (width, height) != picture.size:
            picture = resized(picture, height, width, self.interpolation)
        if self.crop and self.size is not None:
            picture = _center_crop(picture, self.size)
        return self._from_pixels(np.array(picture).reshape(1, picture.height, picture.width, self.channels))[0]

    def batch(self, items: Sequence[Any] | np.ndarray | torch.Tensor) -> Float[torch.Tensor, "batch ..."]:
        """Pictures as a batch `(N, C, H, W)`.

        Args:
            items: PIL images, or arrays: uint8 `(N, H, W)` or `(N, H, W, C)`, or floats `(N, C, ...)`.

        Raises:
            DataError: if an item is no picture, or the pictures end in different sizes.
        """
        if isinstance(items, torch.Tensor):
            items = items.numpy()
        if isinstance(items, np.ndarray) and items.dtype != np.uint8:
            return self.normalised(torch.from_numpy(np.asarray(items, np.float32)))
        if isinstance(items, np.ndarray) and self._keeps(items):
            grown = items.reshape(*items.shape[:3], -1)
            return self._from_pixels(np.broadcast_to(grown, (*grown.shape[:3], self.channels)))
        alien = next((item for item in items if not (is_picture(item) or isinstance(item, np.ndarray))), None)
        if alien is not None:
            raise DataError(f"expected pictures, got {type(alien).__name__}; this model takes images")
        return _stacked([self(item) for item in items])

    def normalised(self, values: Float[torch.Tensor, "batch ..."]) -> Float[torch.Tensor, "batch ..."]:
        """Floats `(N, C, ...)` less the mean, over the std."""
        for given in (self.mean, self.std):
            if given is not None and (values.ndim < 2 or len(given) not in {1, values.shape[1]}):
                raise DataError(
                    f"expected {len(given)} channels on axis 1 for mean and std, got shape "
                    f"{tuple(values.shape)}; give arrays as (N, C, H, W)"
                )
        return self._normalise(values.clone())

    def to_manifest(self) -> dict[str, Any]:
        """A plain dict that JSON can hold; `preprocess_from_manifest` reads it."""
        fields = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        return {"kind": "image", **fields}

    def _from_pixels(self, pixels: UInt8[np.ndarray, "N H W C"]) -> Float[torch.Tensor, "N C H W"]:
        values = torch.from_numpy(np.array(pixels.transpose(0, 3, 1, 2), order="C")).to(torch.float32)
        # 1 / (1 / 255) is exactly 255; dividing by it rounds as torchvision does, multiplying by 1 / 255 not.
        return self._normalise(values.div_(1 / self.scale))

    def _normalise(self, values: Float[torch.Tensor, "batch ..."]) -> Float[torch.Tensor, "batch ..."]:
        """`values` themselves, changed in place."""
        if self.mean is not None:
            values.sub_(_column(self.mean, values.ndim))
        return values if self.std is None else values.div_(_column(self.std, values.ndim))

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        if self.resize is None:
            return (height, width) if self.size is None or self.crop else self.size
        if isinstance(self.resize, tuple):
            return self.resize
        longer = int(self.resize * max(height, width) / min(height, width))
        return (self.resize, longer) if height <= width else (longer, self.resize)

    def _keeps(self, images: UInt8[np.ndarray, "..."]) -> bool:
        """Whether the batch needs no resizing, no cropping, and no change of colours but grey to RGB."""
        if images.ndim not in {3, 4} or (images.ndim == 4 and images.shape[3] not in {1, self.channels}):
            return False
        height, width = images.shape[1:3]
        return self._resized(height, width) == (height, width) and (not self.crop or self.size == (height, width))


def _picture(pixels: UInt8[np.ndarray, "..."]) -> Picture:
    if pixels.dtype != np.uint8 or pixels.ndim not in {2, 3} or (pixels.ndim == 3 and pixels.shape[2] not in {1, 3, 4}):
        raise DataError(f"expected a uint8 picture (H, W) or (H, W, C), got {pixels.dtype} {pixels.shape}")
    return from_pixels(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)


def _center_crop(picture: Picture, size: tuple[int, int]) -> Picture:
    """As torchvision: an odd pixel of a crop is rounded half to even, one of padding goes right and below."""
    top, left = (_start(have, want) for have, want in zip((picture.height, picture.width), size, strict=True))
    return picture.crop((left, top, left + size[1], top + size[0]))


def _start(have: int, want: int) -> int:
    return round((have - want) / 2) if have >= want else -((want - have) // 2)


def _column(values: tuple[float, ...], ndim: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(1, -1, *[1] * (ndim - 2))


def _stacked(images: list[torch.Tensor]) -> torch.Tensor:
    sizes = sorted({tuple(image.shape[1:]) for image in images})
    if len(sizes) > 1:
        raise DataError(f"expected pictures of one size, got {sizes[0]} and {sizes[1]}; give the preprocessing a size")
    return torch.stack(images)
