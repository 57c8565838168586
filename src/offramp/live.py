"""A multi-exit model with all that decides what its exits say: what executors are made of."""

from dataclasses import dataclass

from offramp.calibrate.calibrator import Calibrator
from offramp.gates.gate import Gate
from offramp.model.multi_exit import MultiExit
from offramp.reading import LogitsOf


@dataclass(frozen=True, eq=False)
class Live:
    """A multi-exit model, ready to be run.

    Attributes:
        multi_exit: the backbone and its heads.
        logits_of: picks the logits out of the backbone's output.
        gate: scores calibrated logits.
        calibrators: one per exit but the last.
        parts: of an output; see `tasks.task.Means`.
    """

    multi_exit: MultiExit
    logits_of: LogitsOf
    gate: Gate
    calibrators: tuple[Calibrator, ...]
    parts: int = 1
