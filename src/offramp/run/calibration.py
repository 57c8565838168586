"""A calibrator as a part of a stage."""

from typing import Any

import torch
from torch import nn

from offramp.calibrate.calibrator import Calibrator
from offramp.calibrate.parametric import Parametric


class Calibration(nn.Module):
    """Calibrates with parameters that are buffers, which move, are exported and are recorded with the stage.

    A recorded stage (CUDA graphs) may copy nothing from the host, and an exporter wants constants to be the module's.
    """

    def __init__(self, calibrator: Calibrator, device: torch.device) -> None:
        super().__init__()
        self.calibrator, arrays = calibrator, calibrator.arrays if isinstance(calibrator, Parametric) else ()
        self.names = tuple(f"array{index}" for index in range(len(arrays)))
        for name, array in zip(self.names, arrays, strict=True):
            self.register_buffer(name, torch.tensor(array, dtype=torch.float32, device=device))

    def forward(self, logits: Any) -> Any:
        """Calibrated logits (B, C)."""
        if isinstance(self.calibrator, Parametric):
            return self.calibrator.apply(logits, *(getattr(self, name) for name in self.names))
        return self.calibrator(logits)
