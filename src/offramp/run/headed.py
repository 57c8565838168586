"""A driver with heads and a gate on top: the executor of PyTorch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from offramp.calibrate.calibrator import Calibrator
from offramp.gates.gate import Gate
from offramp.heads.earlier import Earlier, rows_of
from offramp.heads.reduction import At
from offramp.inputs import Inputs, batch_size, device_of, mask_of, on
from offramp.model.multi_exit import MultiExit
from offramp.run.calibration import Calibrates, placed
from offramp.run.driver import Driver, End
from offramp.run.executor import Said, Stop


@dataclass(frozen=True, eq=False)
class Headed:
    """Runs the backbone on a driver, and the heads where they are asked.

    Attributes:
        driver: runs the backbone with stops.
        multi_exit: has the heads.
        gate: scores calibrated logits.
        calibrators: one per exit but the last.
    """

    driver: Driver
    multi_exit: MultiExit
    gate: Gate
    calibrators: tuple[Calibrates, ...]

    @classmethod
    def of(cls, driver: Driver, multi_exit: MultiExit, gate: Gate, calibrators: Sequence[Calibrator]) -> "Headed":
        """The executor; its heads in eval mode, where the backbone is."""
        device = device_of(multi_exit.backbone.model)
        multi_exit.heads.eval().to(device)
        return cls(driver, multi_exit, gate, placed(calibrators, device))

    def samples(self, inputs: Inputs) -> int:
        """The size of a batch."""
        return batch_size(inputs)

    def drive(self, inputs: Inputs, stop: Stop) -> Said | None:
        """The backbone's answer to those who are left at the end."""
        inputs = on(inputs, device_of(self.multi_exit.backbone.model))
        mask = mask_of(inputs)
        earlier: Earlier = ()

        def at(place: int, feature: At) -> torch.Tensor | None:
            nonlocal mask, earlier

            def say(exit_: int) -> Said:
                nonlocal earlier
                logits, earlier = self.logits(exit_, feature, mask, earlier)
                return self.said(logits, exit_)

            rows = stop(place, say)
            if rows is None:
                return None
            staying = torch.from_numpy(rows).to(device_of(self.multi_exit.backbone.model))
            mask = None if mask is None else mask.index_select(0, staying)
            earlier = rows_of(earlier, staying)
            return staying

        with torch.no_grad():
            end = self.driver.drive(inputs, at)
            return None if end is None else self.answer(end)

    def whole(self, inputs: Inputs) -> Said:
        """The user's model itself, in eval mode."""
        with torch.no_grad():
            return self.answer(self.driver.whole(inputs))

    def logits(
        self, exit_: int, feature: At, mask: torch.Tensor | None = None, earlier: Earlier = ()
    ) -> tuple[torch.Tensor, Earlier]:
        """The calibrated logits of an exit, and what later ones hear.

        Args:
            exit_: its number.
            feature: what its head looks at.
            mask: (B, T), 0 where a token is padding.
            earlier: what the enabled exits before it said.
        """
        head = self.multi_exit.head(exit_)
        logits, heard = head.answer(exit_, head.reduce(feature, mask), earlier)
        return self.calibrators[exit_](logits), heard

    def answer(self, end: End) -> Said:
        """The backbone's answer with its score."""
        full = {name: array(tensor) for name, tensor in end.full.items()}
        return replace(self.said(end.logits, len(self.multi_exit.exits)), full=full)

    def said(self, logits: torch.Tensor, exit_: int) -> Said:
        """What an exit says, with its score."""
        return Said(array(logits), array(self.gate.score(logits, exit_)))


def array(tensor: torch.Tensor) -> np.ndarray:
    """A tensor's numbers; bfloat16, which NumPy has not, as float32."""
    found = tensor.detach()
    found = found.float() if found.dtype is torch.bfloat16 else found
    result: np.ndarray = found.cpu().numpy()
    return result
