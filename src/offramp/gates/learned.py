"""Gates with weights, one set for each exit."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from offramp.arrays import Bool, Float
from offramp.errors import InputError
from offramp.gates.gate import Gate


@runtime_checkable
class Learned(Protocol):
    """A gate that has to be fitted before it can score."""

    def fitted(
        self, outputs: Float[np.ndarray, "exits samples classes"], right: Bool[np.ndarray, "exits samples"]
    ) -> Gate:
        """The gate, fitted to what the exits but the last say; this one is left as it is.

        Args:
            outputs: calibrated logits.
            right: where they name the class they should.
        """
        ...


@runtime_checkable
class Tolerant(Protocol):
    """A gate that has to know how far from right an answer may be."""

    def tolerating(self, tolerance: tuple[float, ...], exits: int) -> Gate:
        """The gate for these tolerances, of each value, and so many exits; this one is left as it is."""
        ...


def weights_of(weights: Sequence[Sequence[float]], exit_index: int, width: int, kind: str) -> Sequence[float]:
    """The weights of an exit.

    Raises:
        InputError: if there are none, or of another number than `width`.
    """
    if not weights:
        raise InputError(f"expected a fitted {kind} gate, got one without weights; fit it on recorded outputs first")
    found = weights[exit_index]
    if len(found) != width:
        raise InputError(f"expected {width} weights for the {kind} gate at exit {exit_index}, got {len(found)}")
    return found
