"""Pillow, which is imported when the first picture is touched and not before."""

import importlib
import sys
from typing import Any

import numpy as np
from jaxtyping import UInt8

Picture = Any
"""A `PIL.Image.Image`."""

INTERPOLATIONS = ("bicubic", "bilinear", "box", "hamming", "lanczos", "nearest")
"""Resampling filters that every Pillow has."""


def pillow() -> Any:
    """The module `PIL.Image`."""
    return importlib.import_module("PIL.Image")


def is_picture(item: object) -> bool:
    """Whether `item` is a Pillow picture; where Pillow is not loaded, nothing is one."""
    module: Any = sys.modules.get("PIL.Image")
    return module is not None and isinstance(item, module.Image)


def from_pixels(pixels: UInt8[np.ndarray, "..."]) -> Picture:
    """The picture of an array `(H, W)` or `(H, W, C)`."""
    return pillow().fromarray(pixels)


def resized(picture: Picture, height: int, width: int, interpolation: str) -> Picture:
    """The picture at another size."""
    return picture.resize((width, height), pillow().Resampling[interpolation.upper()])
