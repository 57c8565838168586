"""The state of a fit after an epoch, kept so that a killed process loses one epoch at most."""

import io
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from offramp.errors import InputError

Weights = dict[str, torch.Tensor]


class Checkpoint:
    """Counts epochs, remembers each head's best weights, and writes both to a file.

    Attributes:
        epoch: epochs done.
        stale: epochs since any head was better than before.
        best: lowest held-out loss of each head.
    """

    def __init__(self, heads: Sequence[nn.Module], optimizer: torch.optim.Optimizer, path: Path | None) -> None:
        self.heads, self.optimizer, self.path = heads, optimizer, path
        self.epoch = 0
        self.stale = 0
        self.best = [float("inf")] * len(heads)
        self.best_weights: list[Weights] = [_copy(head) for head in heads]
        if path is not None and path.exists():
            self._load(path)

    def note(self, losses: list[float]) -> None:
        """Takes in the held-out losses after an epoch."""
        better = [loss < best for loss, best in zip(losses, self.best, strict=True)]
        for index, improved in enumerate(better):
            if improved:
                self.best[index] = losses[index]
                self.best_weights[index] = _copy(self.heads[index])
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
            "heads": [_copy(head) for head in self.heads],
            "optimizer": self.optimizer.state_dict(),
        }
        draft, buffer = path.with_suffix(".part"), io.BytesIO()
        torch.save(state, buffer)  # not straight to the file: there torch hides a full disk behind a RuntimeError
        draft.write_bytes(buffer.getvalue())
        draft.replace(path)

    def _load(self, path: Path) -> None:
        try:
            state = torch.load(path, weights_only=True)
            self.epoch, self.stale, self.best = state["epoch"], state["stale"], state["best"]
            self.best_weights = state["best_weights"]
            for head, weights in zip(self.heads, state["heads"], strict=True):
                head.load_state_dict(weights)
            self.optimizer.load_state_dict(state["optimizer"])
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError(f"cannot go on from the checkpoint {path}: {reason}; delete it to train anew") from error


def _copy(head: nn.Module) -> Weights:
    return {name: tensor.detach().clone() for name, tensor in head.state_dict().items()}
