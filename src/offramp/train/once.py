"""Heads are trained once: who wants the same ones again reads them from a file."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from offramp.gates.jei import Jei
from offramp.train.state_file import read, write


@dataclass(frozen=True)
class Taught:
    """What a training ended with, besides the heads.

    Attributes:
        gate: that learned with the heads; None: none did.
        seconds: that the training took, where it was not interrupted; those of the first time where heads were read.
    """

    gate: Jei | None
    seconds: float


def once(heads: nn.ModuleList, path: Path, teach: Callable[[], Jei | None]) -> Taught:
    """Heads in eval mode, as `teach` leaves them in place, or as the file has them where it was called before.

    Args:
        heads: untrained.
        path: named after all that decides how the heads come out.
        teach: trains the heads in place, and returns the gate that learned with them.

    Raises:
        InputError: if the file is damaged.
    """
    if path.exists():
        found: list[Taught] = []

        def take(state: dict[str, Any]) -> None:
            heads.load_state_dict(state["heads"])
            gate = None if state["gate"] is None else Jei(tuple(tuple(row) for row in state["gate"]))
            found.append(Taught(gate, state["seconds"]))

        read(path, take)
        heads.eval()
        return found[0]
    start = time.perf_counter()
    gate = teach()
    heads.eval()
    taught = Taught(gate, time.perf_counter() - start)
    weights = None if gate is None else [list(row) for row in gate.weights]
    write({"heads": heads.state_dict(), "gate": weights, "seconds": taught.seconds}, path)
    return taught
