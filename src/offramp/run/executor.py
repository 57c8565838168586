"""What an executor is: something that can run a multi-exit model with stops, or its backbone uncut. Free of torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from offramp.arrays import Float, Int


@dataclass(frozen=True, eq=False)
class Said:
    """What an exit says about the samples that reached it.

    Attributes:
        logits: calibrated.
        score: the gate's, higher = safer to stop.
        full: by name, what else the backbone returns; of its own answer alone.
    """

    logits: Float[np.ndarray, "batch classes"]
    score: Float[np.ndarray, " batch"]
    full: Mapping[str, np.ndarray] = field(default_factory=dict)


Say = Callable[[int], Said]
"""Given the number of an exit at this stop, what it says about all samples that reached the stop."""

Stop = Callable[[int, Say], "Int[np.ndarray, ' staying'] | None"]
"""Called with the number of a stop and what its exits say; returns the rows that stay, in order, or None for all."""


@runtime_checkable
class Executor(Protocol):
    """Runs a multi-exit model on one back end, cut where the exits are that it was made for."""

    def samples(self, inputs: Any) -> int:
        """The size of a batch.

        Raises:
            DataError: if the inputs disagree about it, or are empty.
        """
        ...

    def drive(self, inputs: Any, stop: Stop) -> Said | None:
        """The backbone's own answer to those who are left at its end; None if nobody is.

        At each place with exits, by depth, `stop` is called, and the batch goes on with the rows that it returns.
        Where no row is left nothing more is computed.
        """
        ...

    def whole(self, inputs: Any) -> Said:
        """The backbone's own answer, uncut."""
        ...
