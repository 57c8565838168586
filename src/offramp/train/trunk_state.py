"""How far the training of a trunk has come, in memory and in a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from offramp.train.optimisers import grouped
from offramp.train.phase import Phase
from offramp.train.spent import Spent
from offramp.train.state_file import read, write
from offramp.train.stopping import Stopping


class TrunkState:
    """Counts phases and steps, holds what the current phase needs, and writes all to a file.

    Attributes:
        network: what is trained.
        phase: phases done.
        step: steps done of the current phase.
        spent: what each phase has cost so far, the current one included.
        held: the lowest held-out mean loss of every finished phase.
        stopping: of the current phase.
    """

    def __init__(self, network: nn.Module, identity: str, path: Path | None) -> None:
        self.network, self.identity, self.path = network, identity, path
        self.phase = self.step = 0
        self.spent: list[Spent] = [Spent()]
        self.held: list[float] = []
        self.stopping = Stopping()
        self.optimizer: torch.optim.Optimizer | None = None
        self.schedule: LRScheduler | None = None
        self._earlier: dict[str, Any] = {}
        if path is not None and path.exists():
            read(path, self._take)

    def begin(self, phase: Phase, backbone: Sequence[nn.Parameter], heads: Sequence[nn.Parameter], steps: int) -> None:
        """Makes the optimizer over what learns, and the schedule; where the phase was interrupted, as they were."""
        self.optimizer = grouped(phase.optimiser, backbone, heads, phase.head_rate)
        self.schedule = phase.schedule(self.optimizer, steps) if phase.schedule else None
        if self._earlier:
            self.optimizer.load_state_dict(self._earlier["optimizer"])
            if self.schedule is not None:
                self.schedule.load_state_dict(self._earlier["schedule"])
            self._earlier = {}

    def end(self) -> None:
        """Ends a phase with its best weights."""
        self.stopping.restore(self.network)
        self.held.append(self.stopping.mean)
        self.stopping, self.optimizer, self.schedule = Stopping(), None, None
        self.phase, self.step = self.phase + 1, 0
        self.spent.append(Spent())

    def save(self) -> None:
        """Writes everything, where there is a file to write to."""
        if self.path is None:
            return
        state = {
            "identity": self.identity,
            "phase": self.phase,
            "step": self.step,
            "spent": [[getattr(spent, name) for name in Spent.__slots__] for spent in self.spent],
            "held": self.held,
            "network": self.network.state_dict(),
            "stopping": self.stopping.state(),
            "optimizer": self.optimizer.state_dict() if self.optimizer else None,
            "schedule": self.schedule.state_dict() if self.schedule else None,
        }
        write(state, self.path)

    def _take(self, state: dict[str, Any]) -> None:
        if state["identity"] != self.identity:
            raise ValueError("it belongs to another model, regime, seed or data")
        self.phase, self.step, self.held = state["phase"], state["step"], state["held"]
        self.spent = [Spent(*numbers) for numbers in state["spent"]]
        self.network.load_state_dict(state["network"])
        self.stopping.load(state["stopping"])
        if state["optimizer"] is not None:
            self._earlier = {"optimizer": state["optimizer"], "schedule": state["schedule"]}
