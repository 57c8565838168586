"""How click-through models learn, and how well they tell clicks from the rest."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.stats import rankdata
from torch import nn
from torch.nn import functional as F

from benchmarks.recsys.dlrm import Tables
from benchmarks.recsys.frappe import Rows
from offramp.train.average import averaged

BATCH, EPOCHS, EVERY, DECAY = 256, 40, 30, 0.99
"""Rows per step, epochs at most, steps between looks at held rows, share of the mean of weights that a step leaves."""


@dataclass(frozen=True)
class Course:
    """How one kind of model learns.

    Attributes:
        rate: of Adam.
        table_rate: the same for embeddings.
        shrink: weight of the squared embeddings of a row in the loss.
        warm_up: steps over which that weight rises; at once it may shrink all to nothing before anything is learned.
        patience: steps without a better loss on held rows after which it ends.
    """

    rate: float
    table_rate: float
    shrink: float
    warm_up: int
    patience: int


class FactorizationMachine(nn.Module):
    """A factorization machine (Rendle 2010); with no factors, logistic regression.

    Args:
        sizes: how many values each field has.
        factors: numbers per value besides its weight.
        seed: of the first weights.
    """

    def __init__(self, sizes: Sequence[int], factors: int, seed: int = 0) -> None:
        super().__init__()
        self.embeddings, self.bias = Tables(sizes, 1 + factors), nn.Parameter(torch.zeros(1))
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self.embeddings.rows.weight[1:].normal_(0.0, 0.05, generator=generator)

    def forward(self, ids: Int[torch.Tensor, "batch fields"]) -> Float[torch.Tensor, "batch 1"]:
        """Ids (B, fields) to logits (B, 1)."""
        vectors = self.embeddings(ids)
        weights, factors = vectors[:, :, 0], vectors[:, :, 1:]
        pairs = (factors.sum(1).square() - factors.square().sum(1)).sum(1) / 2
        logits: torch.Tensor = self.bias + weights.sum(1, keepdim=True) + pairs.unsqueeze(1)
        return logits


@dataclass
class _Best:
    """The weights that did best on held rows."""

    loss: float = float("inf")
    step: int = 0
    weights: dict[str, torch.Tensor] = field(default_factory=dict)


def learn(model: nn.Module, train: Rows, held: Rows, course: Course, seed: int) -> int:
    """Trains a model that has `embeddings` by binary cross entropy and stops early; returns after how many steps.

    What it has in the end is the running mean of its weights that does best on held rows.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # dropout has no generator of its own
        return _learn(model, train, held, course, np.random.default_rng(seed))


def _learn(model: nn.Module, train: Rows, held: Rows, course: Course, generator: np.random.Generator) -> int:
    tables = model.embeddings
    assert isinstance(tables, Tables)
    others = [weight for weight in model.parameters() if weight is not tables.rows.weight]
    groups: list[dict[str, Any]] = [{"params": list(tables.parameters()), "lr": course.table_rate}, {"params": others}]
    optimizer = torch.optim.Adam(groups, lr=course.rate)
    alone = nn.ModuleList([model])
    mean, best, step = averaged(alone, DECAY), _Best(), 0
    assert isinstance(mean.module, nn.ModuleList)
    kept = mean.module[0]
    for _ in range(EPOCHS):
        model.train()
        for batch in np.array_split(generator.permutation(len(train)), len(train) // BATCH):
            rows = train.at(batch)
            shrink = course.shrink * min(1.0, step / course.warm_up) if course.warm_up else course.shrink
            loss = log_loss(model(rows.ids), rows) + shrink * tables(rows.ids).square().sum((1, 2)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            mean.update_parameters(alone)
            step += 1
            if step % EVERY == 0:
                _look(kept.eval(), held, step, best)
        if best.weights and step - best.step >= course.patience:
            break
    model.load_state_dict(best.weights)
    model.eval()
    return best.step


def _look(model: nn.Module, held: Rows, step: int, best: _Best) -> None:
    loss = float(log_loss(logits_of(model, held), held))
    if loss < best.loss:
        best.loss, best.step = loss, step
        best.weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}


def log_loss(logits: torch.Tensor, rows: Rows) -> torch.Tensor:
    """Mean binary cross entropy of logits (B, 1) in nats."""
    return F.binary_cross_entropy_with_logits(logits.flatten(), rows.clicks.to(torch.float32))


def logits_of(model: nn.Module, rows: Rows) -> Float[torch.Tensor, " rows"]:
    """The logits of all rows."""
    with torch.inference_mode():
        return torch.cat([model(some).flatten() for some in torch.split(rows.ids, 1024)]).clone()


def figures(model: nn.Module, rows: Rows) -> dict[str, float]:
    """Area under the ROC curve, log loss in nats, and the share of right answers at a probability of one half."""
    logits = logits_of(model, rows)
    right = (logits > 0) == (rows.clicks > 0)
    return {
        "auc": auc(logits.numpy(), rows.clicks.numpy()),
        "log_loss": float(log_loss(logits, rows)),
        "accuracy": float(right.to(torch.float32).mean()),
    }


def auc(scores: Float[np.ndarray, " rows"], clicks: Int[np.ndarray, " rows"]) -> float:
    """The chance that a click scores higher than no click, ties counted half: the Mann-Whitney statistic.

    >>> auc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([0, 0, 1, 1]))
    0.875
    """
    positive = clicks > 0
    count = int(positive.sum())
    above = rankdata(scores)[positive].sum() - count * (count + 1) / 2
    return float(above / (count * (len(clicks) - count)))
