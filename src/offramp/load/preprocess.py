"""What happens to an item before the model sees it, and how a bundle records it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from offramp.errors import BundleError, DataError, InputError
from offramp.inputs import Inputs
from offramp.load.click_preprocess import ClickPreprocess
from offramp.load.image_preprocess import ImagePreprocess
from offramp.load.pictures import from_pixels
from offramp.load.tokens import TokenPreprocess


@runtime_checkable
class Preprocess(Protocol):
    """From raw items (pictures, texts) to a batch as the model takes it."""

    def batch(self, items: Any) -> Inputs:
        """The items as one batch."""
        ...

    def to_manifest(self) -> dict[str, Any]:
        """A plain dict that JSON can hold."""
        ...


@dataclass(frozen=True, slots=True)
class CallablePreprocess:
    """A function of the user's from one picture or text to one tensor; a bundle records only its name.

    Attributes:
        function: takes a PIL image or a text, returns a tensor without a batch axis.
        name: how the bundle calls it.
    """

    function: Callable[[Any], torch.Tensor]
    name: str

    def batch(self, items: Any) -> Inputs:
        """The results of the function, stacked; uint8 arrays reach it as PIL images."""
        pictures = [from_pixels(item) if isinstance(item, np.ndarray) else item for item in items]
        return torch.stack([self.function(item) for item in pictures])

    def to_manifest(self) -> dict[str, Any]:
        """A plain dict that JSON can hold; reading it back asks for the function."""
        return {"kind": "callable", "name": self.name}


def as_preprocess(value: Any, where: str) -> Preprocess:
    """Preprocessing from what a user writes.

    Args:
        value: a `Preprocess`; a function; or a dict with any of ImagePreprocess's fields, where one number is
            a square `size`, or the `mean` or `std` of all channels, and `resize` with `size` implies a crop.
        where: who gave it, as errors say it.

    Examples:
        >>> as_preprocess({"size": 224, "resize": 256, "mean": 0.5, "std": 0.5}, "the command line").mean
        (0.5,)
    """
    if isinstance(value, Preprocess):
        return value
    if isinstance(value, Mapping):
        return _image_preprocess(value, where)
    if callable(value):
        return CallablePreprocess(value, getattr(value, "__qualname__", type(value).__qualname__))
    raise InputError(
        f"expected preprocessing from {where} as a dict, ImagePreprocess or function, got {type(value).__name__}"
    )


def required(preprocess: Preprocess | None, kind: str, where: str) -> Preprocess:
    """The preprocessing, or an error that says why the `kind` of items in `where` cannot do without."""
    if preprocess is None:
        raise DataError(
            f"expected preprocessing for the {kind} in {where}, the model brings none; "
            "give --mean, --std and --size, or set the attribute `preprocess` on the model that the "
            "factory returns"
        )
    return preprocess


def preprocess_from_manifest(manifest: Mapping[str, Any], given: Preprocess | None = None) -> Preprocess:
    """The preprocessing that `to_manifest` recorded.

    Args:
        manifest: the recorded dict.
        given: what stands in for a function, which a manifest cannot hold, and the model's own tokenizer, where that
            of the build is gone.

    Raises:
        InputError: if a function was recorded and none is given.
        BundleError: if the dict is not such a record.
    """
    values = {key: value for key, value in manifest.items() if key != "kind"}
    kind = manifest.get("kind")
    try:
        if kind == "image":
            return _image_preprocess(values, "the manifest")
        if kind == "tokens":
            return _tokens(TokenPreprocess(**values), given)
        if kind == "clicks":
            return ClickPreprocess.from_manifest(values)
    except (TypeError, KeyError, InputError) as error:
        raise BundleError(f"expected a record of preprocessing, got {dict(manifest)}: {error}") from error
    if kind != "callable":
        raise BundleError(f"expected preprocessing of kind image, tokens, clicks or callable, got {kind!r}")
    if given is None:
        raise InputError(
            f"expected the preprocessing function {manifest.get('name')!r}, which a bundle records by "
            "name only; pass it as preprocess="
        )
    return given


def _tokens(recorded: TokenPreprocess, given: Preprocess | None) -> TokenPreprocess:
    """As recorded; with the tokenizer of `given` where only that one is a folder here."""
    if isinstance(given, TokenPreprocess) and Path(given.source).is_dir() and not Path(recorded.source).is_dir():
        return replace(recorded, source=given.source)
    return recorded


def adjusted(own: Preprocess | None, value: Any) -> Preprocess:
    """A model's own preprocessing as a user wants it; see `as_preprocess`, and `{"max_length": 256}` for texts.

    Raises:
        InputError: if a length is given and the model takes no texts.
    """
    if not isinstance(value, Mapping) or set(value) != {"max_length"}:
        return as_preprocess(value, "the caller")
    if not isinstance(own, TokenPreprocess):
        raise InputError("expected max_length with a model that takes texts, got one without a tokenizer; leave it out")
    return replace(own, **value)


def _image_preprocess(values: Mapping[str, Any], where: str) -> ImagePreprocess:
    known = [field.name for field in fields(ImagePreprocess)]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise InputError(f"expected preprocessing from {where} with any of {', '.join(known)}; got {unknown[0]!r}")
    result: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    if isinstance(result.get("size"), int):
        result["size"] = (result["size"], result["size"])
    for key in ("mean", "std"):
        if isinstance(result.get(key), int | float):
            result[key] = (float(result[key]),)
    result.setdefault("crop", result.get("size") is not None and result.get("resize") is not None)
    return ImagePreprocess(**result)
