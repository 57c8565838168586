"""Rows of several feature caches as one training set."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from offramp.model.cache import FeatureCache, FeatureKey

CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of `caches`, one after the other; row numbers run over all of them.

    Attributes:
        caches: on disk.
        device: where batches of them are wanted.
    """

    caches: tuple[FeatureCache, ...]
    device: torch.device = CPU

    def __len__(self) -> int:
        return sum(len(cache.logits) for cache in self.caches)

    def features(self, key: FeatureKey, rows: Int[np.ndarray, " batch"]) -> Float[torch.Tensor, "batch reduced"]:
        """Reduced features, as float32."""
        return self._gather([cache.features[key] for cache in self.caches], rows)

    def logits(self, rows: Int[np.ndarray, " batch"]) -> Float[torch.Tensor, "batch classes"]:
        """The backbone's outputs."""
        return self._gather([cache.logits for cache in self.caches], rows)

    def sample_of(self, rows: Int[np.ndarray, " batch"]) -> Int[np.ndarray, " batch"]:
        """Which sample each row is a copy of; samples of later caches are numbered on."""
        found = np.empty_like(rows)
        first_row = first_sample = 0
        for cache in self.caches:
            here = (rows >= first_row) & (rows < first_row + len(cache.logits))
            found[here] = (rows[here] - first_row) % cache.samples + first_sample
            first_row, first_sample = first_row + len(cache.logits), first_sample + cache.samples
        return found

    def _gather(self, arrays: Sequence[np.ndarray], rows: Int[np.ndarray, " batch"]) -> torch.Tensor:
        out = np.empty((len(rows), *arrays[0].shape[1:]), np.float32)
        first = 0
        for array in arrays:
            here = (rows >= first) & (rows < first + len(array))
            out[here] = array[rows[here] - first]
            first += len(array)
        return torch.from_numpy(out).to(self.device)
