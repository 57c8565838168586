"""What happens to pictures: noise and blur, written for this repository after those of CIFAR-10-C."""

from collections.abc import Callable, Mapping

import numpy as np
from scipy.ndimage import gaussian_filter

Pictures = np.ndarray
"""uint8, (pictures, height, width, 3)."""


def noise(pictures: Pictures, strength: float, seed: int = 0) -> Pictures:
    """Gaussian noise of that standard deviation, where white is 1."""
    drawn = np.random.default_rng(seed).normal(0.0, 255.0 * strength, pictures.shape)
    return _rounded(pictures + drawn)


def blur(pictures: Pictures, strength: float) -> Pictures:
    """A Gaussian blur of that many pixels."""
    found = gaussian_filter(pictures.astype(np.float32), (0.0, strength, strength, 0.0))
    return _rounded(found)


def _rounded(found: np.ndarray) -> Pictures:
    pictures: Pictures = np.clip(np.rint(found), 0, 255).astype(np.uint8)
    return pictures


KINDS: Mapping[str, Callable[[Pictures, float], Pictures]] = {"noise": noise, "blur": blur}
