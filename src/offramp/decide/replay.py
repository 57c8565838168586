"""What a configuration would have done to the samples of a table."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from offramp.arrays import Float, Int
from offramp.decide.rule import decisive
from offramp.errors import InputError
from offramp.types import Configuration, ExitTable, OperatingPoint


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """What happened to each sample.

    Attributes:
        exit_index: the exit at which the sample left; the last one is the backbone's own output.
        loss: its loss there.
        cost: what it spent, in the unit of the table's cost profile.
    """

    exit_index: Int[np.ndarray, " samples"]
    loss: Float[np.ndarray, " samples"]
    cost: Float[np.ndarray, " samples"]


def replay(table: ExitTable, configuration: Configuration) -> Replay:
    """Exit, loss and cost of every sample of `table` under `configuration`.

    A sample leaves at the first enabled exit with `score >= threshold`, else at the last; where the scores decide
    together (`table.rule`) it is their decisive number that is compared. It pays the
    backbone up to that exit and all enabled heads and gates up to and including it (DyCE's offline
    evaluation; Wang et al. 2024).

    Example:
        >>> from offramp.testing.searchers import random_table
        >>> table = random_table(seed=0, exits=3, samples=5)
        >>> replay(table, Configuration.full(2)).exit_index
        array([2, 2, 2, 2, 2])
    """
    enabled = _enabled(table, configuration)
    threshold = np.array(configuration.threshold, dtype=np.float64)
    leaves = np.ones(table.score.shape, dtype=bool)
    leaves[:-1] = enabled[:, None] & (decisive(table, enabled)[:-1] >= threshold[:, None])
    exit_index = leaves.argmax(axis=0)
    return Replay(
        exit_index=exit_index,
        loss=table.loss[exit_index, np.arange(table.samples)],
        cost=table.cost.leaving(enabled)[exit_index],
    )


def operating_point(table: ExitTable, configuration: Configuration, name: str) -> OperatingPoint:
    """Mean loss, cost as a share of the plain backbone's, and exit shares of `configuration` on the split of
    `table`.

    Example:
        >>> from offramp.testing.searchers import random_table
        >>> point = operating_point(random_table(seed=0), Configuration.full(3), "full")
        >>> point.loss, point.cost, point.exit_share
        (0.0, 1.0, (0.0, 0.0, 0.0, 1.0))
    """
    outcome = replay(table, configuration)
    count = np.bincount(outcome.exit_index, minlength=table.exits)
    return OperatingPoint(
        name=name,
        configuration=configuration,
        loss=float(outcome.loss.mean()),
        cost=float(outcome.cost.mean() / table.cost.backbone),
        exit_share=tuple(float(share) for share in count / table.samples),
        split=table.split,
    )


def above_backbone(table: ExitTable) -> ExitTable:
    """The same table with the excess over the plain model, clip(loss - its loss, 0, 1), as loss.

    That is the last exit, whose row becomes 0, or the `reference` of the table, where it has one.
    """
    excess_loss = np.clip(table.loss - table.plain, 0.0, 1.0)
    reference = None if table.reference is None else np.zeros(table.samples)
    return dataclasses.replace(table, loss=excess_loss, reference=reference)


def excess(table: ExitTable, configuration: Configuration) -> Float[np.ndarray, " samples"]:
    """Excess loss over the backbone of each sample, in [0, 1].

    For disagreement it is the disagreement itself. For error it is 1 where the backbone is right and the exit
    is wrong (SelfXit's category "B right, C wrong"), whose mean bounds the drop of accuracy: lucky gains are
    not counted.
    """
    return replay(above_backbone(table), configuration).loss


def gap(table: ExitTable, configuration: Configuration) -> Float[np.ndarray, " samples"]:
    """Loss minus the backbone's of each sample, in [-1, 1]: for error its mean is the drop of accuracy itself.

    Never more than the excess, and that never more than the disagreement, sample by sample (Jazbec et al. 2024).

    Example:
        >>> from offramp.testing.searchers import random_table
        >>> table = random_table(seed=0, risk="error")
        >>> np.unique(gap(table, Configuration((True, True, True), (0.9, 0.9, 0.9))))
        array([-1.,  0.,  1.])
    """
    difference: np.ndarray = np.clip(replay(table, configuration).loss - table.plain, -1.0, 1.0)
    return difference


def oracle_cost(table: ExitTable) -> float:
    """Cost, as a share of the backbone's, if each sample left at the first exit that is no worse than the
    backbone.

    All exits are enabled and all their heads charged. It is what a perfect gate would reach, not a bound on
    subsets: with fewer heads to pay an oracle can be cheaper still.

    Example:
        >>> from offramp.testing.searchers import random_table
        >>> round(oracle_cost(random_table(seed=0)), 3)
        0.455
    """
    no_worse = table.loss <= table.plain
    no_worse[-1] = True
    first = no_worse.argmax(axis=0)
    spent = table.cost.leaving(np.ones(table.exits - 1, dtype=bool))[first]
    return float(spent.mean() / table.cost.backbone)


def _enabled(table: ExitTable, configuration: Configuration) -> np.ndarray:
    if len(configuration.enabled) != table.exits - 1:
        raise InputError(
            f"expected a configuration for {table.exits - 1} exits besides the last, "
            f"got one for {len(configuration.enabled)}; search and replay the same set of exits"
        )
    enabled = np.array(configuration.enabled, dtype=bool)
    if table.together and enabled.any() and not enabled.all():
        raise InputError(
            f"expected all exits on, or none, where later heads hear earlier ones, got {int(enabled.sum())} of "
            f"{enabled.size}; build with the points that are wanted"
        )
    return enabled
