"""Calibrators whose parameters are arrays, which have to lie where the logits do."""

from typing import Any, Protocol, runtime_checkable

import numpy as np

from offramp.arrays import Float


@runtime_checkable
class Parametric(Protocol):
    """A calibrator that can be given its parameters, so that a stage keeps them as buffers of its own."""

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """The parameters."""
        ...

    def apply(self, logits: Any, *arrays: Any) -> Any:
        """Calibrated logits; `arrays` are the parameters, of the kind of the logits and on their device."""
        ...


def like(logits: Any, values: Float[np.ndarray, "..."]) -> Any:
    """The values as an array of the type of the logits, or as a tensor of their type and on their device.

    Example:
        >>> like(np.zeros((1, 2), np.float32), np.array([1.0, 2.0])).dtype
        dtype('float32')
    """
    return values.astype(logits.dtype) if isinstance(logits, np.ndarray) else logits.new_tensor(values)
