"""What a network is held against when its loss is looked at, and how, by task."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, Num

from offramp.sources import Labels
from offramp.tasks.task import Task
from offramp.train import NAMES
from offramp.train.regime import Regime
from offramp.train.scaled import OfValues, Scaled

BINS = 10
"""Into so many equally full parts values are put where classes are asked for."""

Loss = Callable[[Float[torch.Tensor, "batch outputs"], Num[torch.Tensor, "batch ..."]], Float[torch.Tensor, ""]]


@dataclass(frozen=True, eq=False)
class Criterion:
    """A loss against targets.

    Attributes:
        targets: one for each sample.
        loss: the mean loss of outputs against some of the targets, differentiable.
        name: of the loss, with its unit.
        classes: the targets as classes, one column or several: of which information is measured.
        against: `"labels"`, or `"backbone"` for the user's model's own answers.
    """

    targets: Num[torch.Tensor, "samples ..."]
    loss: Loss
    name: str
    classes: Int[np.ndarray, "columns samples"]
    against: str


def criterion(task: Task, reference: Float[np.ndarray, "samples outputs"], labels: Labels | None) -> Criterion:
    """The loss of the task's regime that learns from labels, against the labels or else the answers of the reference.

    Classes have cross-entropy, independent labels the sum of their cross-entropies. Values have half their squared
    error in units of the targets' deviations, summed: the likelihood in which all exits are equally sure, since a
    backbone says no spread. Held against its own answers, a backbone's error of values is 0, and so is its gradient.

    Args:
        task: says what outputs and labels mean.
        reference: outputs of the user's model on these samples.
        labels: of these samples, unchecked; None: there are none, or they are not to be read.

    Raises:
        DataError: if labels are not what the task takes.
    """
    answers = task.predict(reference) if labels is None else task.checked(labels, reference.shape[1])
    against = "backbone" if labels is None else "labels"
    regime = NAMES["disjoint" if task.means.classes else task.means.name("regime", "disjoint")]
    assert isinstance(regime, Regime)
    if isinstance(regime, OfValues):
        values = torch.from_numpy(np.asarray(answers, np.float64).reshape(len(answers), -1))
        return Criterion(
            values, _Squares(Scaled.of(values)), "half squared error, standardised", _binned(values.numpy()), against
        )
    if answers.ndim == 1:
        classes = np.asarray(answers, np.int64)
        return Criterion(torch.from_numpy(classes), _Taught(regime), "cross-entropy, nats", classes[None], against)
    each = np.asarray(answers, np.int64)
    return Criterion(
        torch.from_numpy(each), _Taught(regime), "cross-entropy, nats, summed over labels", each.T, against
    )


@dataclass(frozen=True)
class _Taught:
    """The loss of a regime that reads labels."""

    regime: Regime

    def __call__(
        self, outputs: Float[torch.Tensor, "batch outputs"], targets: Num[torch.Tensor, "batch ..."]
    ) -> Float[torch.Tensor, ""]:
        return self.regime.loss(outputs, outputs.detach(), targets)


@dataclass(frozen=True, eq=False)
class _Squares:
    """Half the squared error of values in units of their deviation, summed over values."""

    scaled: Scaled

    def __call__(
        self, outputs: Float[torch.Tensor, "batch outputs"], targets: Num[torch.Tensor, "batch ..."]
    ) -> Float[torch.Tensor, ""]:
        scale = self.scaled.scale.to(outputs.device)
        away = (outputs[:, : targets.shape[1]].double() - targets) * scale
        return (0.5 * away**2).sum(dim=1).mean().float()


def _binned(values: Float[np.ndarray, "samples values"]) -> Int[np.ndarray, "values samples"]:
    """For each value, in which of `BINS` equally full parts it is."""
    edges = np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1], axis=0)
    return np.stack([np.searchsorted(edges[:, one], values[:, one], side="right") for one in range(values.shape[1])])
