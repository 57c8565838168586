"""The images of the benchmark: CIFAR-10's training images to learn from and to choose on, test images to report on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cifar_resnet import PREPROCESS
from offramp.load.arrays import open_array
from offramp.load.image_preprocess import ImagePreprocess
from offramp.sources import Source


def parts(config: Mapping[str, Any], root: Path, size: int, seed: int) -> dict[str, Source]:
    """The first `size` of the shuffled training images, those that thresholds are chosen on, and the test images.

    The images to choose on are the same for all sizes of a seed, and none of them is learnt from.
    """
    files = [_opened(root / name) for name in config["training"]]
    x, y = (np.concatenate(arrays) for arrays in zip(*files, strict=True))
    order = np.random.default_rng(seed).permutation(len(x))
    count = config["validation"]
    if size + count > len(x):
        raise SystemExit(f"expected at most {len(x) - count} images to learn from, got {size}; lower sizes")
    choose, learn = order[:count], order[count : count + size]
    return {
        "learn": _source(x[learn], y[learn], "images to learn from"),
        "choose": _source(x[choose], y[choose], "images to choose on"),
        "test": _source(*_opened(root / config["test"]), "test images"),
    }


def _opened(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with np.load(path) as arrays:
        return arrays["x"], arrays["y"].astype(np.int64)


def _source(x: np.ndarray, y: np.ndarray, name: str) -> Source:
    return open_array(x, y, ImagePreprocess(mean=PREPROCESS["mean"], std=PREPROCESS["std"]), name)
