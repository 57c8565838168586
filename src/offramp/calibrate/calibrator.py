"""The interface of a calibrator."""

from typing import Any, Protocol, runtime_checkable

import numpy as np

from offramp.arrays import Bool, Float, Num

Target = Num[np.ndarray, "samples ..."] | Bool[np.ndarray, "samples ..."]
"""What to agree with, as `Task.predict` has it, such as a class for each sample; or probabilities of all classes."""


@runtime_checkable
class Calibrator(Protocol):
    """Maps the logits of one exit to logits whose softmax can be believed, or what else the task has in its place."""

    def fit(self, logits: Float[np.ndarray, "samples classes"], target: Target) -> "Calibrator":
        """A calibrator fitted to `target`; this one is left as it is."""
        ...

    def __call__(self, logits: Any) -> Any:
        """Calibrated logits, of the same type and shape; `logits` is a NumPy array or a torch tensor."""
        ...
