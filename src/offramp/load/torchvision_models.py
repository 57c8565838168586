"""Models of torchvision."""

import inspect
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import nn

from offramp.errors import UnknownNameError
from offramp.load.image_preprocess import ImagePreprocess
from offramp.load.optional import require
from offramp.load.weights import fill, load_state


def torchvision_model(name: str, weights: Path | None) -> tuple[nn.Module, ImagePreprocess | None]:
    """The torchvision model `name`, untrained or with `weights` and their classes, and its preprocessing."""
    zoo = require("torchvision.models", f"the model torchvision:{name}")
    known = zoo.list_models()
    if name not in known:
        near = ", ".join(get_close_matches(name, known, n=3)) or "nothing"
        raise UnknownNameError(f"expected a torchvision model, got {name!r}; near it: {near}")
    # Detection models fetch a backbone's weights unless told not to.
    accepted = inspect.signature(zoo.get_model_builder(name)).parameters
    options = {"weights_backbone": None} if "weights_backbone" in accepted else {}
    model = zoo.get_model(name, weights=None, **options)
    if weights is not None:
        state = load_state(weights)
        classes = _classes(model, state)
        model = zoo.get_model(name, weights=None, num_classes=classes) if classes else model
        fill(model, state, str(weights))
    return model, torchvision_preprocess(_entry(zoo.get_model_weights(name), weights))


def torchvision_preprocess(entry: Any) -> ImagePreprocess | None:
    """The transform of an entry such as `ResNet18_Weights.DEFAULT`; None if it does not classify images."""
    presets = require("torchvision.transforms._presets", "torchvision's transforms")
    transforms = entry.transforms()
    if not isinstance(transforms, presets.ImageClassification):
        return None
    (crop,), (resize,) = transforms.crop_size, transforms.resize_size
    return ImagePreprocess(
        size=(crop, crop),
        resize=resize,
        crop=True,
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
        interpolation=transforms.interpolation.value,
    )


def _entry(entries: Any, weights: Path | None) -> Any:
    """The entry that published the weights file, known by its name; else the default one."""
    published = (entry for entry in entries if weights is not None and entry.url.endswith(f"/{weights.name}"))
    return next(published, entries.DEFAULT)


def _classes(model: nn.Module, state: Mapping[str, torch.Tensor]) -> int | None:
    """The number of classes in the weights if it is not the model's, by torchvision's last bias."""
    last, bias = list(model.state_dict().items())[-1]
    found = state.get(last)
    if found is None or found.ndim != 1 or found.shape == bias.shape:
        return None
    return found.shape[0]
