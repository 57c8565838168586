"""Samples as a page shows them: a small picture, a text, or numbers."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from offramp.load.pictures import from_pixels, is_picture

EDGE, LONGEST, NUMBERS = 112, 280, 12
"""Pixels of the longer edge of a picture, letters of a text, and numbers of a vector that are shown."""


def shown(item: Any) -> dict[str, str]:
    """A sample as `{"picture": data URI}`, or `{"text": words}`, in words that still have to be escaped.

    Args:
        item: a PIL picture, a text, or tensors without a batch axis; three-dimensional ones of one or three channels
            are pictures whose values are spread over what can be seen.

    Example:
        >>> shown("so good")
        {'text': 'so good'}
        >>> shown({"ids": torch.tensor([3, 7]), "dense": torch.tensor([0.25])})
        {'text': 'ids: 3, 7; dense: 0.25'}
    """
    if isinstance(item, str):
        return {"text": item if len(item) <= LONGEST else item[: LONGEST - 1] + "…"}
    if is_picture(item):
        return {"picture": _uri(item)}
    if isinstance(item, Mapping):
        return {"text": "; ".join(f"{name}: {_numbers(value)}" for name, value in item.items())}
    if isinstance(item, tuple):
        return {"text": "; ".join(_numbers(value) for value in item)}
    array = np.asarray(item)
    if array.ndim == 3 and array.shape[0] in (1, 3) and min(array.shape[1:]) > 1:
        return {"picture": _uri(_visible(array))}
    return {"text": _numbers(item)}


def answer(value: Any, names: Sequence[str] = ()) -> str:
    """An answer or label in words: the name of a class where there are names, else numbers.

    >>> answer(np.int64(1), ["cat", "dog"]), answer(np.array([True, False])), answer(0.123456)
    ('dog', '1, 0', '0.123')
    """
    array = np.asarray(value)
    if array.ndim == 0 and array.dtype.kind in "iu" and int(array) < len(names):
        return names[int(array)]
    return _numbers(array.astype(np.int64) if array.dtype.kind == "b" else array)


def _numbers(value: Any) -> str:
    array = value.numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    flat = array.reshape(-1)
    some = ", ".join(f"{number:.3g}" if array.dtype.kind == "f" else str(number) for number in flat[:NUMBERS].tolist())
    return some if flat.size <= NUMBERS else f"{some}, … ({' x '.join(map(str, array.shape))} numbers)"


def _visible(array: np.ndarray) -> Any:
    low, high = float(array.min()), float(array.max())
    pixels = ((array - low) * (255.0 / max(high - low, 1e-12))).astype(np.uint8).transpose(1, 2, 0)
    return from_pixels(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _uri(picture: Any) -> str:
    """A picture of at most `EDGE` pixels as a data URI; small ones without loss."""
    small = picture.convert("L" if picture.mode in ("1", "L", "I;16", "I", "F") else "RGB")
    small.thumbnail((EDGE, EDGE))
    kind = "PNG" if max(picture.size) <= EDGE else "JPEG"
    stream = io.BytesIO()
    small.save(stream, kind, **({"quality": 82} if kind == "JPEG" else {"optimize": True}))
    return f"data:image/{kind.lower()};base64,{base64.b64encode(stream.getvalue()).decode()}"
