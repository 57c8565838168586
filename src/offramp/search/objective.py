"""What DyCE minimises: a weighted sum of accuracy lost and cost."""

from dataclasses import dataclass

import numpy as np

from offramp.arrays import Float, Int
from offramp.scientific import scipy
from offramp.search.line import Arrivals, Line
from offramp.types import ExitTable


@dataclass(frozen=True, slots=True)
class Scale:
    """How loss and cost become 1 - A and M of J = lambda (1 - A) + (1 - lambda) M (DyCE's released code).

    Attributes:
        loss_from: mean loss at which 1 - A is 0: that of the backbone.
        loss_unit: mean loss, above that, at which it is 1.
        cost_from: share of the backbone's cost at which M is 0.
        cost_unit: what M = 1 costs more than that.
    """

    loss_from: float
    loss_unit: float
    cost_from: float
    cost_unit: float

    @classmethod
    def of(cls, table: ExitTable, *, normalised: bool) -> "Scale":
        """The scale for `table`.

        Plain: A and M are accuracy and cost as shares of the backbone's. Normalised, A is 0 for the first exit
        alone, and M where the first exit stands, as the code's top-level search has it. Where the first exit is
        no worse than the backbone, or the backbone never right, that unit is left out.

        Example:
            >>> from offramp.testing.searchers import random_table
            >>> Scale.of(random_table(seed=0), normalised=False)
            Scale(loss_from=0.0, loss_unit=1.0, cost_from=0.0, cost_unit=1.0)
        """
        backbone = float(table.loss[-1].mean())
        right = 1.0 - backbone if backbone < 1.0 else 1.0
        if not normalised:
            return cls(backbone, right, 0.0, 1.0)
        worse = float(table.loss[0].mean()) - backbone
        depth = float(table.cost.upto[0] / table.cost.backbone)
        return cls(backbone, worse if worse > 0.0 else right, depth, 1.0 - depth if depth < 1.0 else 1.0)

    def value(
        self, loss: Float[np.ndarray, " settings"], cost: Float[np.ndarray, " settings"], weight: float
    ) -> Float[np.ndarray, " settings"]:
        """J where accuracy weighs `weight`, lambda.

        Example:
            >>> Scale(0.0, 1.0, 0.0, 1.0).value(np.array([0.0, 0.1]), np.array([1.0, 0.5]), 0.8)
            array([0.2 , 0.18])
        """
        lost = (loss - self.loss_from) / self.loss_unit
        return weight * lost + (1.0 - weight) * (cost - self.cost_from) / self.cost_unit


def cautious_loss(table: ExitTable, arrivals: Arrivals, quantile: float) -> Float[np.ndarray, " settings"]:
    """The mean loss at each setting of `line`, were each early exit as bad as its samples leave plausible.

    The accuracy of an exit on the samples that leave there, `right` of which it gets right, is replaced by the
    quantile of Beta(1 + right, 1 + wrong), DyCE's option for small data sets, there with 10 %. The backbone's own
    output is taken as it is: nothing is chosen by its few samples. Losses are in {0, 1}, or shares counted as such.

    Example:
        >>> from offramp.testing.searchers import random_table
        >>> from offramp.types import Configuration
        >>> table = random_table(seed=0, exits=2, samples=4)
        >>> reached = Arrivals.of(table, np.argsort(-table.score[0], kind="stable"), Configuration.full(1), 0)
        >>> cautious_loss(table, reached, 0.1).round(2)
        array([0.  , 0.17, 0.4 , 0.51, 0.58])
    """
    samples = np.arange(table.samples)
    start = arrivals.otherwise
    left = _moved(np.ones(table.samples), start, arrivals, table.exits)
    wrong = _moved(table.loss[start, samples], start, arrivals, table.exits)
    queue, index = arrivals.queue, arrivals.exit_index
    left[index] += np.append(0, arrivals.cut + 1)
    wrong[index] += np.append(0.0, np.cumsum(table.loss[index][queue])[arrivals.cut])
    inner, missed = left[:-1], wrong[:-1]
    accuracy = scipy("special", "cautious searches").betaincinv(1.0 + inner - missed, 1.0 + missed, quantile)
    lost = np.where(inner > 0, inner * (1.0 - accuracy), 0.0).sum(axis=0) + wrong[-1]
    mean: np.ndarray = lost / table.samples
    return mean


def _moved(
    value: Float[np.ndarray, " samples"], start: Int[np.ndarray, " samples"], arrivals: Arrivals, exits: int
) -> Float[np.ndarray, "exits settings"]:
    """Sum of `value` over the samples that still leave at each exit, as the queue empties."""
    total = np.bincount(start, weights=value, minlength=exits)
    gone = np.zeros((exits, arrivals.queue.size))
    gone[start[arrivals.queue], np.arange(arrivals.queue.size)] = value[arrivals.queue]
    after = gone.cumsum(axis=1)[:, arrivals.cut]
    still: np.ndarray = total[:, None] - np.hstack([np.zeros((exits, 1)), after])
    return still


def idle_cost(table: ExitTable, arrivals: Arrivals, found: Line) -> float:
    """Mean cost share with the exit on and nobody leaving there: its head is paid by all who arrive.

    Example:
        >>> from offramp.search.line import line
        >>> from offramp.testing.searchers import random_table
        >>> from offramp.types import Configuration
        >>> table = random_table(seed=0, exits=2, samples=4)
        >>> reached = Arrivals.of(table, np.argsort(-table.score[0], kind="stable"), Configuration.full(1), 0)
        >>> round(idle_cost(table, reached, line(table, reached)), 3)
        1.021
    """
    head = table.cost.head[arrivals.exit_index] + table.cost.gate[arrivals.exit_index]
    return float(found.cost[0] + head * arrivals.queue.size / (table.samples * table.cost.backbone))
