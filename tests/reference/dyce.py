"""DyCE's J from the replay of one sample after another, and every configuration it could choose."""

from collections.abc import Iterator
from itertools import groupby, product

import numpy as np
from scipy.stats import beta

from offramp.types import Configuration, ExitTable
from tests.reference.replay import leave, mean_loss_and_cost


def worth(table: ExitTable, configuration: Configuration, weight: float, *, normalised: bool) -> float:
    """J = weight (1 - A) + (1 - weight) M with A and M as in DyCE's code."""
    loss, cost = mean_loss_and_cost(table, configuration)
    accuracy, backbone = 1.0 - loss, 1.0 - float(table.loss[-1].mean())
    if not normalised:
        return weight * (1.0 - accuracy / backbone) + (1.0 - weight) * cost
    first = 1.0 - float(table.loss[0].mean())
    depth = float(table.cost.upto[0] / table.cost.upto[-1])
    a, m = (accuracy - first) / (backbone - first), (cost - depth) / (1.0 - depth)
    return weight * (1.0 - a) + (1.0 - weight) * m


def cautious(table: ExitTable, configuration: Configuration, quantile: float) -> float:
    """Mean loss where each early exit has that quantile of Beta(1 + right, 1 + wrong) as its accuracy."""
    left = [leave(table, configuration, sample) for sample in range(table.samples)]
    total = sum(loss for e, loss, _ in left if e == table.exits - 1)
    for e in range(table.exits - 1):
        losses = [loss for at, loss, _ in left if at == e]
        if losses:
            wrong = sum(losses)
            total += len(losses) * (1.0 - beta.ppf(quantile, 1 + len(losses) - wrong, 1 + wrong))
    return float(total / table.samples)


def configurations(table: ExitTable) -> Iterator[Configuration]:
    """Each position without an exit, or with one of its types at one of the scores there."""
    inner = table.exits - 1
    positions = [list(group) for _, group in groupby(range(inner), key=lambda e: float(table.cost.upto[e]))]
    choices = [
        [None, *((e, t) for e in position for t in np.unique(table.score[e]).tolist())] for position in positions
    ]
    for chosen in product(*choices):
        on = dict(one for one in chosen if one is not None)
        yield Configuration(tuple(e in on for e in range(inner)), tuple(on.get(e, 1.0) for e in range(inner)))
