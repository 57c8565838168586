"""Sources that count, fail or refuse: real ones, for the tests."""

from dataclasses import dataclass, field

import numpy as np
import torch

from offramp.errors import NoLabelsError
from offramp.inputs import Inputs, select
from tests.toys import Toy


@dataclass
class Drawn:
    """A toy's inputs; `fail_after` batches it raises, and labels are only there where they are given."""

    values: Inputs
    name: str = "drawn"
    given: np.ndarray | None = None
    fail_after: int | None = None
    reads: list[np.ndarray] = field(default_factory=list)
    label_reads: int = 0

    @classmethod
    def of(cls, toy: Toy, samples: int, seed: int = 1) -> "Drawn":
        return cls(toy.inputs(samples, seed))

    def __len__(self) -> int:
        first = self.values if isinstance(self.values, torch.Tensor) else next(iter(_tensors(self.values)))
        return len(first)

    def fingerprint(self) -> str:
        return "".join(f"{tensor.double().sum().item():.9f}" for tensor in _tensors(self.values))

    def inputs(self, indices: np.ndarray) -> Inputs:
        if self.fail_after is not None and len(self.reads) >= self.fail_after:
            raise InterruptedError("the power went off")
        self.reads.append(indices)
        return select(self.values, torch.from_numpy(indices))

    def labels(self) -> np.ndarray:
        self.label_reads += 1
        if self.given is None:
            raise NoLabelsError("expected labels, got none")
        return self.given


def _tensors(values: Inputs) -> tuple[torch.Tensor, ...]:
    if isinstance(values, torch.Tensor):
        return (values,)
    return tuple(values.values()) if isinstance(values, dict) else values
