"""The trainings that the geometry is about: each regime from one start, and mixed training from another phase 1."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from benchmarks.regimes.cells import measured
from benchmarks.regimes.training import LOGITS, Lab, answers, regime, untrained
from offramp.geometry.weights import Weights, weights_of
from offramp.model.multi_exit import MultiExit
from offramp.sources import Source
from offramp.train.exiting import Exiting
from offramp.train.trained import Trained

START, PHASE_1 = "untrained", "after phase 1"
"""What joint training and the second phase of mixed training begin with; heads are untrained in both."""

DISJOINT, MIXED, JOINT, SHORT, CONTROL = "disjoint", "mixed", "joint", "joint, one phase", "mixed, other phase 1"
"""The regimes; joint training takes as many steps as the others unless it says otherwise."""


@dataclass(frozen=True)
class Work:
    """One network, seed and number of images.

    Attributes:
        config: of the benchmark, with the network's own entries.
        parts: the images, by part.
        seed: of everything.
        folder: for what is done.
    """

    config: Mapping[str, Any]
    parts: Mapping[str, Source]
    seed: int
    folder: Path

    def lab(self, seed: int | None = None) -> Lab:
        """Where a training of a seed is done."""
        own = self.seed if seed is None else seed
        return Lab(self.config, self.parts["learn"], own, self.folder / str(own), _told)

    def started(self) -> MultiExit:
        """The network before any training: the same for all regimes."""
        return untrained(self.config, self.seed)

    @cached_property
    def plain(self) -> MultiExit:
        """After phase 1, with untrained heads."""
        return self.lab().plain(self.started(), self._regime(MIXED, 1, 1))

    @cached_property
    def other_plain(self) -> MultiExit:
        """After another phase 1 (another start, another order), with the same untrained heads."""
        other = self.seed + self.config["other"]
        found = self.lab(other).plain(untrained(self.config, other), self._regime(MIXED, 1, 1))
        return replace(found, heads=copy.deepcopy(self.started().heads))

    def trained(self, name: str) -> Trained:
        """A regime, from the phase that is its own on."""
        if name in (JOINT, SHORT):
            length = 2 if name == JOINT else 1
            return self.lab().train(self.started(), self._regime(JOINT, length), f"joint-{length}")
        start, lab = (
            (self.other_plain, self.lab(self.seed + self.config["other"]))
            if name == CONTROL
            else (self.plain, self.lab())
        )
        kind = MIXED if name == CONTROL else name
        return lab.train(start, self._regime(kind, 1, 1).done(), kind)

    def weights(self, name: str) -> Weights:
        """Weights of the network with its heads at a moment, or after a regime."""
        start = self.started()
        if name in (START, PHASE_1):
            return _weights(start, (self.plain if name == PHASE_1 else start).backbone.model, start.heads)
        done = self.trained(name)
        return _weights(start, done.model, done.heads)

    def accuracy(self, name: str) -> dict[str, Any]:
        """Accuracy of a regime on the test images, at every exit and budget."""
        reference: np.ndarray | None = None
        if name in (DISJOINT, MIXED):
            reference = answers(self.plain, self.parts["test"])[-1]
        return measured(self.trained(name).multi_exit(LOGITS), self.parts, self.config, reference)

    def _regime(self, name: str, *lengths: int) -> Any:
        return regime(self.config, {"regime": name, "lengths": lengths})


def _weights(start: MultiExit, model: nn.Module, heads: nn.ModuleList) -> Weights:
    network = Exiting(replace(start, heads=heads), LOGITS)
    network.model.load_state_dict(model.state_dict())
    return weights_of(network)


def _told(stage: str, done: int, total: int) -> None:
    print(f"  {stage} {done}/{total}", flush=True)
