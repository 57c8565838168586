"""Samples as the first stage takes them, read in a pool of actors."""

from collections.abc import Callable
from typing import Any

import numpy as np

from offramp.inputs import check_finite, leaves, mask_of
from offramp.offline.scoring import INDEX, STATE, Batch, refusing
from offramp.sources import Source


class Reading:
    """Reads samples by their numbers."""

    def __init__(self, opened: Callable[[], Source], masked: bool, keeper: Any) -> None:
        """Opens the source.

        Args:
            opened: opens it.
            masked: whether heads read the mask, too.
            keeper: the actor that is told what is wrong with it.
        """
        self._masked, self._keeper = masked, keeper
        with refusing(keeper):
            self._source = opened()

    def __call__(self, batch: Batch) -> dict[str, np.ndarray]:
        """The samples, as the first stage takes them."""
        index = np.asarray(batch[INDEX])
        with refusing(self._keeper):
            inputs = self._source.inputs(index)
            check_finite(inputs, self._source.name, int(index[0]))
        mask = mask_of(inputs) if self._masked else None
        tensors = (*leaves(inputs), *(() if mask is None else (mask,)))
        return {INDEX: index} | {f"{STATE}{at}": tensor.numpy(force=True) for at, tensor in enumerate(tensors)}
