"""Which weights of a phase are kept, and when it ends early."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


class Stopping:
    """Looks at the held-out loss of each exit.

    A head's counter grows with every check that is worse than its best and starts anew when it is better; a phase may
    end when all counters have run out. So does the released code of Kubaty et al. 2025. It keeps the *last* weights
    with which *any* head was better, though, which may be far from best for the others; here the weights with the
    lowest *mean* over the heads are kept.

    Attributes:
        best: lowest held-out loss of each exit, by its number.
        stale: checks since each exit was better.
        mean: lowest mean over the exits.
        weights: with which the mean was lowest; empty before the first check.
    """

    def __init__(self) -> None:
        self.best: dict[int, float] = {}
        self.stale: dict[int, int] = {}
        self.mean = float("inf")
        self.weights: dict[str, torch.Tensor] = {}

    def note(self, losses: Mapping[int, float], network: nn.Module) -> None:
        """Takes in the losses of a check."""
        for index, loss in losses.items():
            better = loss < self.best.get(index, float("inf"))
            self.stale[index] = 0 if better else self.stale[index] + (loss > self.best[index])
            self.best[index] = min(loss, self.best.get(index, float("inf")))
        mean = sum(losses.values()) / len(losses)
        if mean < self.mean:
            self.mean = mean
            self.weights = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

    def over(self, patience: int | None) -> bool:
        """Whether every exit has had its time."""
        return patience is not None and bool(self.stale) and min(self.stale.values()) >= patience

    def restore(self, network: nn.Module) -> None:
        """Gives the network its best weights, where there was a check."""
        if self.weights:
            network.load_state_dict(self.weights)

    def state(self) -> dict[str, Any]:
        """All there is to it, as plain values and tensors."""
        return {"best": self.best, "stale": self.stale, "mean": self.mean, "weights": self.weights}

    def load(self, state: Mapping[str, Any]) -> None:
        """What `state` returned."""
        self.best, self.stale = dict(state["best"]), dict(state["stale"])
        self.mean, self.weights = state["mean"], dict(state["weights"])
