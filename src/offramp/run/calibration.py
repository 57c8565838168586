"""A calibrator with its parameters where the model is."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from offramp.calibrate.calibrator import Calibrator
from offramp.calibrate.parametric import Parametric

Calibrates = Callable[[torch.Tensor], torch.Tensor]
"""From logits to calibrated logits."""


class Calibration(nn.Module):
    """Calibrates with parameters that are buffers, which move, are exported and are recorded with the stage.

    A recorded stage (CUDA graphs) may copy nothing from the host, and an exporter wants constants to be the module's.
    """

    def __init__(self, calibrator: Calibrator, device: torch.device) -> None:
        super().__init__()
        parametric = calibrator if isinstance(calibrator, Parametric) else None  # asked here once: it is slow to tell
        self.calibrator, arrays = calibrator, () if parametric is None else parametric.arrays
        self.calibrates: Callable[..., Any] = calibrator if parametric is None else parametric.apply
        self.names = tuple(f"array{index}" for index in range(len(arrays)))
        for name, array in zip(self.names, arrays, strict=True):
            self.register_buffer(name, torch.tensor(array, dtype=torch.float32, device=device))

    def forward(self, logits: Any) -> Any:
        """Calibrated logits (B, C)."""
        return self.calibrates(logits, *[getattr(self, name) for name in self.names])


def placed(calibrators: Sequence[Calibrator], device: torch.device) -> tuple[Calibrates, ...]:
    """Calibrators that need not make tensors of their parameters at every call; those without any as they are."""
    return tuple(Calibration(one, device) if isinstance(one, Parametric) else one for one in calibrators)
