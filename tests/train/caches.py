"""Feature caches made by hand: what a backbone would have said about easy data."""

import numpy as np
import torch

from offramp.heads import head_type
from offramp.heads.head import Head
from offramp.model.cache import FeatureCache

KEYS = [("early", "global"), ("late", "global")]
WIDTH, CLASSES = 12, 4


def cache(samples: int = 120, copies: int = 0, seed: int = 0) -> FeatureCache:
    """Features from which the logits can be read off, better so at the later point; copies are noisier."""
    generator = np.random.default_rng(seed)
    truth = np.random.default_rng(99).normal(size=(WIDTH, CLASSES)) * 2.0
    base = generator.normal(size=(samples, WIDTH))
    features: list[np.ndarray] = []
    logits: list[np.ndarray] = []
    for _ in range(copies + 1):
        moved = base + 0.1 * generator.normal(size=base.shape) * bool(features)
        features.append(moved)
        logits.append(moved @ truth)
    clean = np.concatenate(features)
    noise = generator.normal(size=clean.shape)
    arrays = {
        KEYS[0]: (clean + noise).astype(np.float32) * 50.0 + 7.0,
        KEYS[1]: clean.astype(np.float16),
    }
    return FeatureCache("train", samples, arrays, np.concatenate(logits).astype(np.float32))


def heads(name: str = "pooled-mlp", seed: int = 0) -> list[Head]:
    generator = torch.Generator().manual_seed(seed)
    return [head_type(name).build((WIDTH,), CLASSES, generator) for _ in KEYS]


def labels_of(made: FeatureCache) -> np.ndarray:
    labels: np.ndarray = made.logits[: made.samples].argmax(axis=1)
    return labels
