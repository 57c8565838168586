"""Toy networks with exits, looked at with noise."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from offramp.geometry.criterion import Criterion, criterion
from offramp.geometry.looked import Looked
from offramp.geometry.settings import Settings
from offramp.geometry.sight import Sight
from offramp.geometry.weights import Weights, weights_of
from offramp.kept_parts import KeptParts
from offramp.model.multi_exit import MultiExit
from offramp.progress import Progress, silent
from offramp.tasks.classification import Classification
from offramp.testing.models import CLASSES
from tests.toys import NAMES, attached, logits_of, source

SAMPLES = 24


def held_against(labels: np.ndarray, outputs: int = CLASSES) -> Criterion:
    return criterion(Classification(), np.zeros((len(labels), outputs), np.float32), labels)


@cache
def exits_of(name: str) -> MultiExit:
    """Captured once, and never changed: whoever looks takes a copy."""
    return attached(NAMES[name].model(), NAMES[name].inputs(2), ("pooled-linear",))


def sight_of(name: str, size: int = 12) -> Sight:
    multi_exit = exits_of(name)
    labels = np.arange(SAMPLES) % CLASSES
    return Sight.of(multi_exit, logits_of, source(NAMES[name], SAMPLES), np.arange(SAMPLES), held_against(labels), size)


def shaken(weights: Weights, seed: int, by: float = 0.1) -> dict[str, torch.Tensor]:
    """Other weights near by, with positive variances."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: value + by * torch.randn(value.shape, generator=generator).abs() if value.is_floating_point() else value
        for name, value in weights.items()
    }


SETTINGS: dict[str, Any] = {
    "samples": SAMPLES,
    "batch_size": 12,
    "entries": 20,
    "steps": 3,
    "grid": 3,
    "noises": (0.4,),
}


def looked(name: str, models: int = 3, folder: Path | None = None, progress: Progress = silent) -> Looked:
    sight = sight_of(name)
    start = weights_of(sight.network)
    weights = {"one": start} | {f"other {seed}": shaken(start, seed) for seed in range(1, models)}
    layers = tuple(dict.fromkeys(sight.network.points))
    return Looked(sight, weights, layers, Settings(**SETTINGS), KeptParts(folder, "toy"), progress)
