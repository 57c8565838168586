"""Models of timm."""

import math
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from torch import nn

from offramp.errors import UnknownNameError
from offramp.load.image_preprocess import ImagePreprocess
from offramp.load.optional import require
from offramp.load.weights import fill, load_state


def timm_model(name: str, weights: Path | None) -> tuple[nn.Module, ImagePreprocess | None]:
    """The timm model `name`, untrained or with `weights` and their classes, and its preprocessing."""
    timm = require("timm", f"the model timm:{name}")
    _known(timm, name)
    if weights is None:
        model = timm.create_model(name, pretrained=False)
    else:
        state = load_state(weights)
        model = timm.create_model(name, pretrained=False, **_classes(timm, name, state))
        fill(model, state, str(weights))
    config = timm.data.resolve_data_config(pretrained_cfg=model.pretrained_cfg)
    return model, timm_preprocess(config)


def timm_preprocess(config: Mapping[str, Any]) -> ImagePreprocess | None:
    """The evaluation transform of a timm data configuration; None where ours could not be the same."""
    channels, height, width = config["input_size"]
    if config["crop_mode"] == "border" or channels not in {1, 3}:
        return None
    if config["crop_mode"] != "squash" and height != width:
        return None
    scaled = (math.floor(height / config["crop_pct"]), math.floor(width / config["crop_pct"]))
    return ImagePreprocess(
        size=(height, width),
        resize=scaled if config["crop_mode"] == "squash" else scaled[0],
        crop=True,
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        interpolation=config["interpolation"],
        channels=channels,
    )


def _known(timm: Any, name: str) -> None:
    """Refuses a name or a tag that timm does not have."""
    base, _, tag = name.partition(".")
    if not timm.is_model(base):
        raise UnknownNameError(
            f"expected a timm model, got {name!r}; near it: {', '.join(_near(base, timm.list_models())) or 'nothing'}"
        )
    tagged = timm.list_models(f"{base}.*", pretrained=True)
    if tag and name not in tagged:
        raise UnknownNameError.among(f"tag of {base}", tag, [known.partition(".")[2] for known in tagged])


def _near(name: str, known: list[str]) -> list[str]:
    return get_close_matches(name, known, n=3)


def _classes(timm: Any, name: str, state: Mapping[str, Any]) -> dict[str, int]:
    """The number of classes that the weights' classifier has, for `create_model`."""
    config = timm.models.get_pretrained_cfg(name)
    classifier = None if config is None else config.classifier
    bias = state.get(f"{classifier}.bias")
    return {} if bias is None else {"num_classes": bias.shape[0]}
