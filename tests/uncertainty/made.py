"""Made-up predictors whose truth is known."""

import numpy as np


def softmax(logits: np.ndarray) -> np.ndarray:
    wide = np.exp(logits - logits.max(axis=-1, keepdims=True))
    found: np.ndarray = wide / wide.sum(axis=-1, keepdims=True)
    return found


def calibrated(seed: int, samples: int, classes: int = 10, sharp: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and targets drawn from just these: no predictor is better calibrated."""
    generator = np.random.default_rng(seed)
    probability = softmax(generator.normal(size=(samples, classes)) * sharp)
    target = (generator.random((samples, 1)) < probability.cumsum(axis=1)).argmax(axis=1)
    return probability, target


def early_exits(seed: int, samples: int, exits: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities (E, N, 10) of exits that know more and more and are too sure, targets, and where samples leave."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(samples, 10)) * 2.5
    target = (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)
    noise = np.linspace(2.5, 0.0, exits)[:, None, None]
    probability = softmax(1.5 * (logits + noise * generator.normal(size=(exits, samples, 10))))
    leaves = probability.max(axis=2) > 0.8
    leaves[-1] = True
    return probability, target, leaves.argmax(axis=0)
