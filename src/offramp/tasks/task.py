"""What a task is: how to find the output that exits imitate, and when two outputs disagree."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int


@runtime_checkable
class Task(Protocol):
    """The meaning of a model's output."""

    @property
    def name(self) -> str:
        """Names the task in manifests."""
        ...

    def logits_of(self, output: Any) -> torch.Tensor:
        """The tensor `(B, C)` among a model's outputs that exits imitate."""
        ...

    def predict(self, output: Float[np.ndarray, "... classes"]) -> Int[np.ndarray, "..."]:
        """The answer the user sees."""
        ...

    def disagreement(
        self,
        outputs: Float[np.ndarray, "exits samples classes"],
        reference: Float[np.ndarray, "samples classes"],
    ) -> Bool[np.ndarray, "exits samples"]:
        """Where an exit's answer differs from the backbone's. Needs no labels."""
        ...

    def error(
        self, outputs: Float[np.ndarray, "exits samples classes"], labels: Int[np.ndarray, " samples"]
    ) -> Bool[np.ndarray, "exits samples"]:
        """Where an exit's answer differs from the label."""
        ...
