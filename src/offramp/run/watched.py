"""A plan that notes where its samples leave. Free of torch."""

from typing import Any

import numpy as np

from offramp.arrays import Float, Int
from offramp.run.loop import Plan, run


class Watched:
    """Runs batches by a plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._left: list[Int[np.ndarray, " batch"]] = []

    def __call__(self, inputs: Any) -> None:
        """Runs a batch."""
        self._left.append(run(self.plan, inputs).exit_index)

    @property
    def share(self) -> Float[np.ndarray, " exits"]:
        """Which share of all samples so far left at each exit, the backbone's last."""
        left = np.concatenate(self._left)
        found: np.ndarray = np.bincount(left, minlength=len(self.plan.configuration.enabled) + 1) / len(left)
        return found
