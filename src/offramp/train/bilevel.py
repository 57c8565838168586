"""JEI-DNN: gates and heads learn in turns from what leaving would cost (Regol et al., ICLR 2024).

The backbone is frozen, so everything reads cached features. One value of `price` gives one trained model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import nn
from torch.nn import functional as F

from offramp.errors import DataError
from offramp.gates.jei import STATISTICS, Jei, statistics
from offramp.heads.head import Head
from offramp.inputs import device_of
from offramp.model.cache import FeatureKey
from offramp.progress import Progress, silent
from offramp.train.checkpoint import copied
from offramp.train.fit import STANDARDISE_ROWS, held_samples, standard, unstandardised
from offramp.train.rows import Rows

MOST_WEIGHT = 5.0
"""Largest weight of positive targets."""

PerExit = Float[torch.Tensor, "batch exits"]


@dataclass(frozen=True)
class Bilevel:
    """The hyper-parameters; defaults are the paper's for CIFAR-10, but for what is said beside them.

    Attributes:
        price: λ, what the whole cost counts against a unit of cross-entropy.
        weighting: of the heads' loss in the joint phase. `"none"`: all exits alike, which is what the released code
            computes, since there the ratio is not detached and cancels; `"gate_detached"`: the intended one, by the
            probability of leaving there.
        targets: `"from_best"`: a gate shall fire at the best exit and all later ones; `"best"`: there alone.
        positives: what weighs positive targets: `"column"`, the share of positives among the targets of the gate, or
            `"best"`, how often its exit is the best, as the released code has it.
        warm_up: epochs in which heads learn alone, at most.
        patience: epochs after which a head that gets no better is frozen until the warm-up ends.
        epochs: in all.
        phase: steps after which gates and heads take turns, beginning with the gates; counted over all epochs, since a
            small set has fewer steps than that in one.
        least_steps: joint steps at least; with few samples more epochs are made.
        batch_size: rows per step.
        learning_rate: SGD's with momentum 0.9, falling along a cosine to a fiftieth.
        weight_decay: SGD's.
        held: share of the samples on which heads are stopped and positives counted.
        needs_labels: False: heads and gates are held to the class that the backbone names (ours).
    """

    price: float = 0.5
    weighting: Literal["none", "gate_detached"] = "gate_detached"
    targets: Literal["from_best", "best"] = "from_best"
    positives: Literal["column", "best"] = "column"
    warm_up: int = 6
    patience: int = 2
    epochs: int = 15
    phase: int = 200
    least_steps: int = 1600
    batch_size: int = 64
    learning_rate: float = 0.01
    weight_decay: float = 5e-4
    held: float = 0.1
    needs_labels: bool = True


def masses(gates: PerExit) -> Float[torch.Tensor, "batch all"]:
    """P(G = l): each gate's mass, cut off where they add up to 1, and the rest for the backbone (equation 8).

    >>> masses(torch.tensor([[0.3, 0.5, 0.4]]))
    tensor([[0.3000, 0.5000, 0.2000, 0.0000]])
    """
    before = F.pad(gates.cumsum(dim=1), (1, 0))[:, :-1]
    inner = torch.minimum(gates, 1.0 - before).clamp_min(0.0)
    return torch.cat([inner, (1.0 - inner.sum(dim=1, keepdim=True)).clamp_min(0.0)], dim=1)


def weighted(loss: Float[torch.Tensor, "batch all"], mass: Float[torch.Tensor, "batch all"]) -> PerExit:
    """Each head's loss times P(G = l), scaled so that a sample's sum stays what it was; the scale is a constant.

    Without the constant the scaled sum is the plain one, in value and gradient: the gates would not matter.
    """
    scale = (loss.sum(dim=1) / (mass * loss).sum(dim=1).clamp_min(1e-12)).detach()
    return (mass.detach() * loss * scale[:, None])[:, :-1]


def best_exits(
    loss: Float[torch.Tensor, "batch all"], cost: Float[torch.Tensor, " all"]
) -> Int[torch.Tensor, " batch"]:
    """The exit with the least loss and cost together, the backbone among them."""
    return (loss + cost).argmin(dim=1)


def targets_of(best: Int[torch.Tensor, " batch"], exits: int, kind: str) -> PerExit:
    """What each gate should say.

    >>> targets_of(torch.tensor([1, 3]), 3, "from_best")
    tensor([[0., 1., 1.],
            [0., 0., 0.]])
    """
    number = torch.arange(exits, device=best.device)
    fires = number[None] >= best[:, None] if kind == "from_best" else number[None] == best[:, None]
    return fires.float()


@dataclass(frozen=True, eq=False)
class BilevelFit:
    """Heads to be trained with their gates.

    Attributes:
        heads: one per exit; trained in place, and left with the weights of the last step.
        keys: where each head finds its input.
        costs: of leaving at each exit, the backbone last, as a share of leaving there.
        settings: the hyper-parameters.
        seed: of the held part, the order of the rows and the gates' first weights.
    """

    heads: Sequence[Head]
    keys: Sequence[FeatureKey]
    costs: Sequence[float]
    settings: Bilevel = field(default_factory=Bilevel)
    seed: int = 0

    def run(self, rows: Rows, labels: Int[np.ndarray, " samples"] | None = None, progress: Progress = silent) -> Jei:
        """The gates; the heads are trained in place.

        Args:
            rows: cached features.
            labels: one per distinct sample; None: the class that the backbone names.
            progress: told about every epoch.

        Raises:
            DataError: if there are too few samples.
        """
        held = held_samples(rows.caches[0].samples, self.settings.held, self.seed)
        everything = np.arange(len(rows))
        training = everything[~np.isin(rows.sample_of(everything), held)]
        if len(training) < 1:
            raise DataError("expected rows to train on, got none; give more samples")
        return _Run(self, rows, labels, training, held, progress).done()


class _Run:
    """A fit under way."""

    def __init__(
        self,
        fit: BilevelFit,
        rows: Rows,
        labels: Int[np.ndarray, " samples"] | None,
        training: Int[np.ndarray, " training"],
        held: Int[np.ndarray, " held"],
        progress: Progress,
    ) -> None:
        self.fit, self.rows, self.labels, self.training, self.held = fit, rows, labels, training, held
        self.settings, self.progress = fit.settings, progress
        self.heads = nn.ModuleList(fit.heads)
        some = training[:: max(1, len(training) // STANDARDISE_ROWS)]
        self.standards = [
            standard(rows.features(key, some)) if head.standardised else unstandardised(head)
            for head, key in zip(fit.heads, fit.keys, strict=True)
        ]
        generator = torch.Generator().manual_seed(fit.seed)
        exits = len(fit.heads)
        device = device_of(self.heads)
        self.gates = nn.Parameter((torch.randn(exits, STATISTICS, generator=generator) / STATISTICS**0.5).to(device))
        self.biases = nn.Parameter(torch.zeros(exits, device=device))
        self.optimizer = torch.optim.SGD(
            [*self.heads.parameters(), self.gates, self.biases],
            lr=self.settings.learning_rate,
            momentum=0.9,
            weight_decay=self.settings.weight_decay,
        )
        self.cost = self.settings.price * torch.tensor(list(fit.costs), dtype=torch.float32, device=device)
        self.positive = torch.ones(exits, device=device)
        self.generator = np.random.default_rng(fit.seed)

    def done(self) -> Jei:
        settings = self.settings
        device = self.biases.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(self.fit.seed)
            self.heads.train()
            self._warm_up()
            per_epoch = max(1, len(self.training) // settings.batch_size)
            epochs = max(settings.epochs - settings.warm_up, -(-settings.least_steps // per_epoch))
            step = 0
            for epoch in range(epochs):
                rate = 0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * epoch / epochs))
                self.optimizer.param_groups[0]["lr"] = settings.learning_rate * rate
                for batch in self._batches():
                    self._step(self._gate_loss(batch) if step // settings.phase % 2 == 0 else self._head_loss(batch))
                    step += 1
                self._count_positives()
                self.progress("training gates and heads", epoch + 1, epochs)
        self.heads.eval()
        for head, (mean, scale) in zip(self.fit.heads, self.standards, strict=True):
            if head.standardised:
                head.absorb(mean, scale)
        weights = torch.cat([self.gates, self.biases[:, None]], dim=1).detach().double()
        return Jei(tuple(tuple(row) for row in weights.tolist()))

    def _warm_up(self) -> None:
        """Heads alone, earlier ones with larger gradients; each is frozen at its best once it gets no better."""
        exits = len(self.heads)
        emphasis = torch.arange(exits + 1, 1, -1, dtype=torch.float32, device=self.biases.device)
        best, stale = [float("inf")] * exits, [0] * exits
        kept = [copied(head) for head in self.heads]
        for epoch in range(self.settings.warm_up):
            for batch in self._batches():
                self._step((self._losses(batch)[:, :-1].mean(dim=0) * emphasis).sum())
            for index, loss in enumerate(self._held_losses()):
                if stale[index] >= self.settings.patience:
                    continue
                stale[index] = 0 if loss < best[index] else stale[index] + 1
                if loss < best[index]:
                    best[index], kept[index] = loss, copied(self.heads[index])
                if stale[index] >= self.settings.patience:
                    self.heads[index].load_state_dict(kept[index])
                    self.heads[index].requires_grad_(False)
            self.progress("warming heads up", epoch + 1, self.settings.warm_up)
            if min(stale) >= self.settings.patience:
                break
        for head, weights in zip(self.heads, kept, strict=True):
            head.load_state_dict(weights)
        self.heads.requires_grad_(True)

    def _step(self, loss: torch.Tensor) -> None:
        """One step; what the loss does not reach has no gradient, and so neither decay nor momentum."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    def _batches(self) -> Iterator[Int[np.ndarray, " batch"]]:
        size = min(self.settings.batch_size, len(self.training))
        order = self.generator.permutation(self.training)
        return (order[first : first + size] for first in range(0, len(order) - size + 1, size))

    def _logits(self, batch: Int[np.ndarray, " batch"]) -> list[torch.Tensor]:
        pairs = zip(self.fit.heads, self.fit.keys, self.standards, strict=True)
        inner = [head.predict((self.rows.features(key, batch) - mean) * scale) for head, key, (mean, scale) in pairs]
        return [*inner, self.rows.logits(batch)]

    def _losses(self, batch: Int[np.ndarray, " batch"]) -> torch.Tensor:
        return self._said(batch)[0]

    def _said(self, batch: Int[np.ndarray, " batch"]) -> tuple[torch.Tensor, torch.Tensor]:
        """Cross-entropy at every exit, the backbone last; and the logits of the gates, which reach no head."""
        logits = self._logits(batch)
        if self.labels is None:
            known = logits[-1].argmax(1)
        else:
            known = torch.from_numpy(self.labels[self.rows.sample_of(batch)]).to(logits[-1].device)
        loss = torch.stack([F.cross_entropy(one, known, reduction="none") for one in logits], dim=1)
        seen = torch.stack([statistics(one.detach()) for one in logits[:-1]], dim=1)
        return loss, (seen * self.gates).sum(dim=2) + self.biases

    def _gate_loss(self, batch: Int[np.ndarray, " batch"]) -> torch.Tensor:
        loss, gates = self._said(batch)
        target = targets_of(best_exits(loss.detach(), self.cost), gates.shape[1], self.settings.targets)
        weight = torch.where(target == 1.0, self.positive, 1.0)
        return F.binary_cross_entropy_with_logits(gates, target, weight)

    def _head_loss(self, batch: Int[np.ndarray, " batch"]) -> torch.Tensor:
        loss, gates = self._said(batch)
        if self.settings.weighting == "none":
            return loss[:, :-1].mean()
        return weighted(loss, masses(gates.detach().sigmoid())).mean()

    def _held_losses(self) -> list[float]:
        self.heads.eval()
        with torch.no_grad():
            found: list[float] = self._losses(self.held).mean(dim=0)[:-1].tolist()
        self.heads.train()
        return found

    def _count_positives(self) -> None:
        """What a positive target weighs: as much as there are more negatives, at most `MOST_WEIGHT`."""
        self.heads.eval()
        with torch.no_grad():
            best = best_exits(self._losses(self.held), self.cost)
        self.heads.train()
        kind = self.settings.targets if self.settings.positives == "column" else "best"
        positive = targets_of(best, len(self.heads), kind).sum(dim=0)
        self.positive = ((len(best) - positive) / positive.clamp_min(0.1)).clamp(max=MOST_WEIGHT)
