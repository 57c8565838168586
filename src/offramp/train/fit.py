"""The training loop: one optimizer over all heads, on cached features."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, Num
from torch import nn

from offramp.errors import DataError, InputError
from offramp.heads.head import Head
from offramp.inputs import device_of
from offramp.model.cache import FeatureKey
from offramp.progress import Progress, silent
from offramp.train.average import averaged
from offramp.train.checkpoint import Checkpoint
from offramp.train.regime import Regime
from offramp.train.rows import Rows
from offramp.train.scaled import OfValues, Scaled

WARM_UP = 0.1
"""Share of the steps in which the learning rate rises; it then falls to 0 along a cosine."""

Standard = tuple[torch.Tensor, torch.Tensor]
"""(mean, scale) of a feature; the head absorbs both when it is trained."""

STANDARDISE_ROWS = 8192
"""Rows from which the mean and scale of the features are taken."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Attributes:
        epochs: passes over the rows, augmented copies included.
        least_steps: with few rows more passes are made, so that there are about so many steps.
        most_steps: with many rows fewer passes are made, so that there are about so many steps.
        batch_size: rows per step.
        learning_rate: AdamW's, at its highest.
        weight_decay: AdamW's.
        held: share of the samples on which early stopping looks, all their copies kept out of training.
        patience: epochs without a better head after which training stops.
        average: decay of the running mean of the weights, which is what is kept; 0: the weights themselves.
    """

    epochs: int = 20
    least_steps: int = 0
    most_steps: int = 6000
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    held: float = 0.1
    patience: int = 10
    average: float = 0.995

    def passes(self, rows: int) -> int:
        """How many passes are made over so many rows.

        >>> schedule = Schedule(epochs=20, least_steps=1000, most_steps=3000, batch_size=256)
        >>> [schedule.passes(rows) for rows in (2_500, 20_000, 72_500)]
        [112, 20, 10]
        """
        steps = max(1, rows // self.batch_size)
        return max(1, min(max(self.epochs, math.ceil(self.least_steps / steps)), self.most_steps // steps))

    def rate(self, step: int, steps: int) -> float:
        """The learning rate at a step."""
        share = step / max(steps, 1)
        if share < WARM_UP:
            return self.learning_rate * (step + 1) / (WARM_UP * steps + 1)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (share - WARM_UP) / (1 - WARM_UP)))


@dataclass(frozen=True, eq=False)
class Fit:
    """Heads to be trained together, each on its own; where they hear each other, each behind the one before.

    All learn at once, and no gradient goes from a head to the one before. Heads that hear each other end with the
    weights of one epoch, that of the best mean.

    Attributes:
        heads: one per exit; trained in place. Each ends with the weights that were best on the held part.
        keys: where each head finds its input.
        regime: the loss.
        schedule: how long and how fast.
        seed: of the held part, the order of the rows and dropout.
        checkpoint: file from which an interrupted fit goes on; None: not resumable.
        onward: whether the heads have been trained before, and go on from where they are.
    """

    heads: Sequence[Head]
    keys: Sequence[FeatureKey]
    regime: Regime
    schedule: Schedule = field(default_factory=Schedule)
    seed: int = 0
    checkpoint: Path | None = None
    onward: bool = False

    def run(
        self, rows: Rows, labels: Num[np.ndarray, "samples ..."] | None = None, progress: Progress = silent
    ) -> list[float]:
        """The best held-out loss of each head.

        Args:
            rows: cached features.
            labels: one per distinct sample, where the regime needs them.
            progress: told about every epoch.

        Raises:
            DataError: if there are too few samples, or labels are needed and missing.
        """
        if self.regime.needs_labels and labels is None:
            raise DataError("expected labels for this regime, got none; add labels, or train with distil")
        training, held = self._divide(rows)
        standards = [self._standard(rows, head, key, training) for head, key in zip(self.heads, self.keys, strict=True)]
        scaled = self._scaled(rows, training, labels)
        heads = nn.ModuleList(self.heads)
        self._begin(standards, scaled)
        optimizer = torch.optim.AdamW(heads.parameters(), lr=0.0, weight_decay=self.schedule.weight_decay, fused=True)
        state = Checkpoint(heads, averaged(heads, self.schedule.average), optimizer, self.checkpoint)
        epochs = self.schedule.passes(len(training))
        while state.epoch < epochs and state.stale < self.schedule.patience:
            self._epoch(rows, standards, scaled, training, labels, state)
            losses = self._losses(rows, standards, scaled, held, labels, state)
            state.note([sum(losses) / len(losses)] * len(losses) if any(head.hears for head in self.heads) else losses)
            progress("training heads", state.epoch, epochs)
        state.restore_best()
        for head, (mean, scale) in zip(self.heads, standards, strict=True):
            if head.standardised:
                head.absorb(mean, scale)
            if scaled is not None:
                scaled.into(head)
        return state.best

    def _begin(self, standards: Sequence[Standard], scaled: Scaled | None) -> None:
        """Takes out of heads that go on what they have absorbed, as far as it is that of these rows."""
        for head, (mean, scale) in zip(self.heads, standards, strict=True):
            if self.onward and head.standardised:
                head.absorb(-mean * scale, 1.0 / scale)
            if self.onward and scaled is not None:
                scaled.out_of(head)

    def _scaled(
        self, rows: Rows, training: Int[np.ndarray, " training"], labels: Num[np.ndarray, "samples ..."] | None
    ) -> Scaled | None:
        """What the targets are standardised by; None where they have no unit."""
        if not isinstance(self.regime, OfValues):
            return None
        some = _evenly(training, STANDARDISE_ROWS)
        return Scaled.of(self.regime.targets(*_asked(rows, some, labels)))

    def _standard(self, rows: Rows, head: Head, key: FeatureKey, training: Int[np.ndarray, " training"]) -> Standard:
        """What a head is trained behind; nothing for one with layers that could not absorb it."""
        if head.standardised:
            return standard(rows.features(key, _evenly(training, STANDARDISE_ROWS)))
        return unstandardised(head)

    def _divide(self, rows: Rows) -> tuple[Int[np.ndarray, " training"], Int[np.ndarray, " held"]]:
        """Rows to train on, and rows (unaugmented samples of the first cache) to stop by."""
        held = held_samples(rows.caches[0].samples, self.schedule.held, self.seed)
        everything = np.arange(len(rows))
        return everything[~np.isin(rows.sample_of(everything), held)], held

    def _epoch(
        self,
        rows: Rows,
        standards: Sequence[Standard],
        scaled: Scaled | None,
        training: Int[np.ndarray, " training"],
        labels: Num[np.ndarray, "samples ..."] | None,
        state: Checkpoint,
    ) -> None:
        epoch, optimizer = state.epoch, state.optimizer
        size = min(self.schedule.batch_size, len(training))
        order = np.random.default_rng((self.seed, epoch)).permutation(training)
        batches = [order[start : start + size] for start in range(0, len(order) - size + 1, size)]
        steps = len(batches) * self.schedule.passes(len(training))
        device = device_of(state.heads)
        on_device = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices=on_device):  # dropout draws from torch's global state; given back untouched
            torch.manual_seed(self.seed * 100_003 + epoch)
            state.heads.train()
            for step, batch in enumerate(batches, start=epoch * len(batches)):
                optimizer.param_groups[0]["lr"] = self.schedule.rate(step, steps)
                optimizer.zero_grad(set_to_none=True)
                losses = self._batch_losses(self.heads, rows, standards, scaled, batch, labels)
                torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                state.averaged.update_parameters(state.heads)

    def _losses(
        self,
        rows: Rows,
        standards: Sequence[Standard],
        scaled: Scaled | None,
        held: Int[np.ndarray, " held"],
        labels: Num[np.ndarray, "samples ..."] | None,
        state: Checkpoint,
    ) -> list[float]:
        """The held-out loss of each head's averaged weights."""
        state.averaged.eval()
        heads = [head for head in state.averaged.module.children() if isinstance(head, Head)]
        with torch.no_grad():
            losses = [loss.item() for loss in self._batch_losses(heads, rows, standards, scaled, held, labels)]
        if not all(math.isfinite(loss) for loss in losses):
            raise InputError(
                f"training diverged (losses {losses}); lower the learning rate {self.schedule.learning_rate}"
            )
        return losses

    def _batch_losses(
        self,
        heads: Sequence[Head],
        rows: Rows,
        standards: Sequence[Standard],
        scaled: Scaled | None,
        batch: Int[np.ndarray, " batch"],
        labels: Num[np.ndarray, "samples ..."] | None,
    ) -> list[torch.Tensor]:
        backbone, target = _asked(rows, batch, labels)
        if scaled is not None:
            backbone, target = scaled.outputs(backbone), None if target is None else scaled.values(target)
        losses, previous = [], None
        for head, key, (mean, scale) in zip(heads, self.keys, standards, strict=True):
            previous = head.predict((rows.features(key, batch) - mean) * scale, previous)
            losses.append(self.regime.loss(previous, backbone, target))
        return losses


def _asked(
    rows: Rows, batch: Int[np.ndarray, " batch"], labels: Num[np.ndarray, "samples ..."] | None
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """What the backbone says, and the labels."""
    backbone = rows.logits(batch)
    return backbone, None if labels is None else torch.from_numpy(labels[rows.sample_of(batch)]).to(backbone.device)


def unstandardised(head: Head) -> Standard:
    """What leaves the numbers as they are, for a head with layers that could not absorb anything else."""
    device = device_of(head)
    return torch.zeros(head.width, device=device), torch.ones(head.width, device=device)


def held_samples(samples: int, share: float, seed: int) -> Int[np.ndarray, " held"]:
    """The samples on which early stopping looks, in order.

    Raises:
        DataError: if none would be held, or none left to train on.
    """
    count = round(share * samples)
    if count < 1 or samples - count < 1:
        raise DataError(f"expected at least {math.ceil(1 / share)} training samples, got {samples}")
    held: np.ndarray = np.sort(np.random.default_rng(seed).permutation(samples)[:count])
    return held


def standard(reduced: Float[torch.Tensor, "samples reduced"]) -> Standard:
    """Mean and 1 / standard deviation of features, which differ by orders of magnitude between depths.

    Entries that hardly vary are left unscaled.
    """
    deviation = reduced.std(dim=0, correction=0)
    return reduced.mean(dim=0), torch.where(deviation > 1e-6, 1.0 / deviation.clamp_min(1e-6), 1.0)


def _evenly(rows: Int[np.ndarray, " rows"], most: int) -> Int[np.ndarray, " some"]:
    """At most `most` of the rows, evenly spread."""
    return rows[:: max(1, len(rows) // most)]
