"""Hugging Face image processors, read into our own preprocessing."""

from typing import Any

import numpy as np
import torch

from offramp.load.image_preprocess import ImagePreprocess
from offramp.load.pictures import from_pixels, pillow, resized

_LEVELS = 1.0
"""Largest mean difference, in grey levels of 255, at which two preprocessings are the same."""

_CONVNEXT_SQUASHED = 384


def image_preprocess_of(processor: Any) -> ImagePreprocess | None:
    """What `processor` does to a picture; None if it does something that ImagePreprocess cannot.

    Processors differ in what their fields mean, so the result is compared with the processor's on a picture.
    """
    fields = processor.to_dict()
    size = _size(fields.get("size")) if fields.get("do_resize") else None
    crop = _pair(_size(fields.get("crop_size"))) if fields.get("do_center_crop") else None
    if "crop_pct" in fields and isinstance(size, int):
        size, crop = _convnext(size, fields["crop_pct"])
    normalise = bool(fields.get("do_normalize"))
    direct = size if crop is None and isinstance(size, tuple) else None
    ours = ImagePreprocess(
        size=direct or crop,
        resize=None if direct else size,
        crop=crop is not None,
        mean=tuple(map(float, fields["image_mean"])) if normalise else None,
        std=tuple(map(float, fields["image_std"])) if normalise else None,
        interpolation=pillow().Resampling(fields.get("resample", pillow().Resampling.BILINEAR)).name.lower(),
        scale=fields.get("rescale_factor", 1 / 255) if fields.get("do_rescale") else 1.0,
    )
    return ours if _agree(ours, processor) else None


def _convnext(edge: int, crop_pct: float) -> tuple[int | tuple[int, int], tuple[int, int] | None]:
    """What ConvNeXt's processor resizes to and crops: large pictures are squashed, small ones cropped."""
    return ((edge, edge), None) if edge >= _CONVNEXT_SQUASHED else (int(edge / crop_pct), (edge, edge))


def _size(value: Any) -> int | tuple[int, int] | None:
    if isinstance(value, int):
        return value
    if not isinstance(value, dict) and value is not None:
        value = dict(value)
    if value and "shortest_edge" in value and len(value) == 1:
        return int(value["shortest_edge"])
    if value and value.get("height") and value.get("width"):
        return int(value["height"]), int(value["width"])
    return None


def _pair(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    return (size, size) if isinstance(size, int) else size


def _agree(ours: ImagePreprocess, processor: Any) -> bool:
    """Whether both give the same for a smooth picture of clouds, wider than high."""
    clouds = np.random.default_rng(0).integers(0, 256, (16, 20, 3), dtype=np.uint8)
    picture = resized(from_pixels(clouds), 320, 400, "bicubic")
    try:
        theirs = torch.as_tensor(np.asarray(processor(picture, return_tensors="np")["pixel_values"]))
    except (KeyError, TypeError, ValueError):
        return False
    mine = ours.batch([picture])
    if theirs.shape != mine.shape:
        return False
    level = ours.scale / (1.0 if ours.std is None else min(ours.std))
    return bool((theirs - mine).abs().mean() < _LEVELS * level)
