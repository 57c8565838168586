"""The interface of a calibrator."""

from typing import Any, Protocol, runtime_checkable

import numpy as np

from offramp.arrays import Float, Int


@runtime_checkable
class Calibrator(Protocol):
    """Maps the logits of one exit to logits whose softmax can be believed."""

    def fit(self, logits: Float[np.ndarray, "samples classes"], target: Int[np.ndarray, " samples"]) -> "Calibrator":
        """A calibrator fitted to `target`, the class to agree with; this one is left as it is."""
        ...

    def __call__(self, logits: Any) -> Any:
        """Calibrated logits, of the same type and shape; `logits` is a NumPy array or a torch tensor."""
        ...
