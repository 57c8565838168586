"""A bundle of the toy CNN, built in a second."""

import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch

from offramp.bundle import Bundle
from offramp.model.augment import Augment
from offramp.pipeline import build
from offramp.recipe import Recipe
from offramp.train.fit import Schedule
from tests.toys import CNN

RECIPE = Recipe(
    heads=("grid-linear", "pooled-mlp"),
    points=3,
    regime="distil",
    augment=Augment(copies=1),
    schedule=Schedule(epochs=4, batch_size=32, learning_rate=1e-2),
    gate="max-prob",
    calibrator="temperature",
    searcher="shared",
    source="for tests",
)

SAMPLES = 320


def images(samples: int = SAMPLES, seed: int = 1) -> torch.Tensor:
    drawn = CNN.inputs(samples, seed)
    assert isinstance(drawn, torch.Tensor)
    return drawn


def make(out: Path, **arguments: Any) -> Bundle:
    """A build of the toy; arguments as of `build`."""
    model, data = arguments.pop("model", None) or CNN.model(), arguments.pop("data", None)
    wishes: dict[str, Any] = {"recipe": RECIPE, "max_drop": 0.1, "batch_size": 64, "timed": ()} | arguments
    return build(model, images() if data is None else data, out=out, **wishes)


@cache
def bundle() -> Bundle:
    """One bundle for all tests that do not change it."""
    folder = Path(tempfile.mkdtemp(prefix="offramp-tests-"))
    try:
        return make(folder / "bundle")
    finally:
        shutil.rmtree(folder)


def text_of(built: Bundle) -> str:
    """All that a bundle says about itself."""
    return built.manifest.model_dump_json()
