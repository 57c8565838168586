"""The state of a fit after an epoch, kept so that a killed process loses one epoch at most."""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from offramp.train.state_file import read, write

Weights = dict[str, torch.Tensor]


class Checkpoint:
    """Counts epochs, remembers the best of each head's averaged weights, and writes all to a file.

    Attributes:
        epoch: epochs done.
        stale: epochs since any head was better than before.
        best: lowest held-out loss of each head.
    """

    def __init__(
        self, heads: nn.ModuleList, averaged: AveragedModel, optimizer: torch.optim.Optimizer, path: Path | None
    ) -> None:
        self.heads, self.averaged, self.optimizer, self.path = heads, averaged, optimizer, path
        self.epoch = 0
        self.stale = 0
        self.best = [float("inf")] * len(heads)
        self.best_weights: list[Weights] = [copied(head) for head in heads]
        if path is not None and path.exists():
            read(path, self._take)

    def note(self, losses: list[float]) -> None:
        """Takes in the held-out losses after an epoch."""
        better = [loss < best for loss, best in zip(losses, self.best, strict=True)]
        for index, improved in enumerate(better):
            if improved:
                self.best[index] = losses[index]
                self.best_weights[index] = copied(self.averaged.module[index])  # type: ignore[index]
        self.epoch += 1
        self.stale = 0 if any(better) else self.stale + 1
        if self.path is not None:
            self._save(self.path)

    def restore_best(self) -> None:
        """Gives each head its best weights, and evaluates from then on."""
        for head, weights in zip(self.heads, self.best_weights, strict=True):
            head.load_state_dict(weights)
            head.eval()

    def _save(self, path: Path) -> None:
        state = {
            "epoch": self.epoch,
            "stale": self.stale,
            "best": self.best,
            "best_weights": self.best_weights,
            "heads": self.heads.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        write(state, path)

    def _take(self, state: dict[str, Any]) -> None:
        self.epoch, self.stale, self.best = state["epoch"], state["stale"], state["best"]
        self.best_weights = state["best_weights"]
        self.heads.load_state_dict(state["heads"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])


def copied(head: nn.Module) -> Weights:
    """The weights of a head, in memory of their own."""
    return {name: tensor.detach().clone() for name, tensor in head.state_dict().items()}
