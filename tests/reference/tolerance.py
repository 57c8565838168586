"""All budgets there are: every choice of thresholds, charged and scored one sample at a time."""

from collections.abc import Iterator

import numpy as np

from offramp.types import Configuration, ExitTable
from tests.reference.front import configurations
from tests.reference.replay import mean_loss_and_cost


def charged(table: ExitTable, configuration: Configuration, *, once: bool) -> float:
    """What a configuration is charged per sample: all that any exit would let leave, whether it arrives or not."""
    total = 0.0
    for sample in range(table.samples):
        losses = [
            float(np.clip(table.loss[e, sample] - table.loss[-1, sample], 0.0, 1.0))
            for e in range(table.exits - 1)
            if configuration.enabled[e] and table.score[e, sample] >= configuration.threshold[e]
        ]
        total += max(losses, default=0.0) if once else sum(losses)
    return total / table.samples


def within(table: ExitTable, tolerance: float, *, once: bool) -> Iterator[Configuration]:
    """Every configuration that is charged at most the tolerance."""
    return (c for c in configurations(table) if charged(table, c, once=once) <= tolerance + 1e-12)


def least_cost(table: ExitTable, tolerance: float, *, once: bool) -> float:
    """Smallest mean cost, as a share of the backbone's, of those; the plain backbone's own where none is cheaper."""
    costs = [mean_loss_and_cost(table, c)[1] for c in within(table, tolerance, once=once) if any(c.enabled)]
    return min([1.0, *costs])
