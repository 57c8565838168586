"""Classification: one class per sample."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from offramp.errors import CaptureError, DataError


@dataclass(frozen=True)
class Classification:
    """The answer is the class with the largest logit; of equal ones the first."""

    @property
    def name(self) -> str:
        """`classification`."""
        return "classification"

    def logits_of(self, output: Any) -> torch.Tensor:
        """The logits `(B, C)` in a model's output: the output itself, its `logits`, or its first entry."""
        found = output
        if not isinstance(found, torch.Tensor):
            found = output.get("logits") if isinstance(output, dict) else getattr(output, "logits", None)
        if found is None and isinstance(output, list | tuple) and output:
            found = output[0]
        if not isinstance(found, torch.Tensor) or found.ndim != 2:
            got = tuple(found.shape) if isinstance(found, torch.Tensor) else type(output).__name__
            raise CaptureError(f"expected logits of shape (batch, classes) in the model's output, got {got}")
        return found

    def predict(self, output: Float[np.ndarray, "... classes"]) -> Int[np.ndarray, "..."]:
        """The class of each sample."""
        classes: np.ndarray = output.argmax(axis=-1)
        return classes

    def disagreement(
        self,
        outputs: Float[np.ndarray, "exits samples classes"],
        reference: Float[np.ndarray, "samples classes"],
    ) -> Bool[np.ndarray, "exits samples"]:
        """Where an exit names another class than the backbone."""
        differs: np.ndarray = self.predict(outputs) != self.predict(reference)
        return differs

    def error(
        self, outputs: Float[np.ndarray, "exits samples classes"], labels: Int[np.ndarray, " samples"]
    ) -> Bool[np.ndarray, "exits samples"]:
        """Where an exit names another class than the label.

        Raises:
            DataError: if a label is no class of the model.
        """
        classes = outputs.shape[-1]
        if labels.min() < 0 or labels.max() >= classes:
            raise DataError(f"expected labels in 0..{classes - 1}, got {labels.min()}..{labels.max()}")
        wrong: np.ndarray = self.predict(outputs) != labels
        return wrong
