"""What reads a model's output."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

LogitsOf = Callable[[Any], torch.Tensor]
"""Finds the output `(batch, outputs)` that exits imitate in whatever a model returns."""

FullOf = Callable[[Any], dict[str, torch.Tensor]]
"""Finds all else that a user may want of a sample that reached the end; each with the batch as first axis."""


@dataclass(frozen=True)
class Reader:
    """Reads what exits imitate when it is called, and all else by `full`.

    Attributes:
        logits: finds what exits imitate.
        rest: finds all else, by name.
    """

    logits: LogitsOf
    rest: FullOf

    def __call__(self, output: Any) -> torch.Tensor:
        """What exits imitate, `(batch, outputs)`."""
        return self.logits(output)

    def full(self, output: Any) -> dict[str, torch.Tensor]:
        """All else, by name."""
        return self.rest(output)


def full_of(logits_of: LogitsOf, output: Any) -> dict[str, torch.Tensor]:
    """All that a model returns beside what exits imitate, as far as `logits_of` knows of it."""
    return logits_of.full(output) if isinstance(logits_of, Reader) else {}
