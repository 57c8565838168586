"""What is looked at within a network: gradients, ranks and information."""

from dataclasses import asdict
from typing import Any

import numpy as np

from offramp.analyze.dominance import dominance, middle
from offramp.analyze.information import information
from offramp.analyze.rank import ranks
from offramp.geometry.features import features
from offramp.geometry.gradients import pull
from offramp.geometry.looked import Looked, plain
from offramp.types import BACKBONE


def gradients(looked: Looked) -> dict[str, Any]:
    """Norms, dominance and alignment of the exits' gradients (columns) in the spans of the backbone (rows)."""

    def of(name: str) -> dict[str, Any]:
        looked.sight.place(looked.models[name])
        found = pull(looked.sight)
        shares = dominance(found.norms)
        return {
            "norms": plain(found.norms),
            "dominance": plain(shares),
            "alignment": plain(found.alignment),
            "middle": plain(middle(shares)),
        }

    models = looked.each("gradients", (looked.settings.batch_size,), of)
    return {"spans": list(looked.sight.spans), "exits": list(looked.sight.exits), "models": models}


def rank_profile(looked: Looked) -> dict[str, Any]:
    """Numerical, counted and effective rank of every layer, and of the output."""

    def of(name: str) -> dict[str, Any]:
        return {layer: asdict(ranks(found)) for layer, found in _features(looked, name).items()}

    models = looked.each("ranks", _of_features(looked), of)
    return {"layers": [*looked.layers, BACKBONE], "models": models}


def information_profile(looked: Looked) -> dict[str, Any]:
    """Information of every layer about inputs and answers, at each level of noise; None where a layer never changes."""
    answers = looked.sight.criterion.classes

    def of(name: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for layer, rows in _features(looked, name).items():
            levels = information(rows, answers, looked.settings.noises) if rows.std(axis=0).any() else None
            found[layer] = None if levels is None else [asdict(level) for level in levels]
        return found

    models = looked.each("information", (*_of_features(looked), looked.settings.noises), of)
    told = {"unit": "nats", "noises": list(looked.settings.noises), "most": float(np.log(answers.shape[1]))}
    return {**told, "layers": [*looked.layers, BACKBONE], "models": models}


def _features(looked: Looked, name: str) -> dict[str, np.ndarray]:
    looked.sight.place(looked.models[name])
    found: dict[str, np.ndarray] = features(looked.sight, looked.layers, looked.settings.entries, looked.settings.seed)
    return found


def _of_features(looked: Looked) -> tuple[object, ...]:
    return looked.layers, looked.settings.entries, looked.settings.seed, looked.settings.batch_size
