"""One sample, one exit at a time: what early exiting means."""

from offramp.types import Configuration, ExitTable


def leave(table: ExitTable, configuration: Configuration, sample: int) -> tuple[int, float, float]:
    """Exit, loss and cost of one sample."""
    heads = 0.0
    last = table.exits - 1
    for exit_index in range(last):
        if not configuration.enabled[exit_index]:
            continue
        heads += float(table.cost.head[exit_index] + table.cost.gate[exit_index])
        if float(table.score[exit_index, sample]) >= configuration.threshold[exit_index]:
            cost = float(table.cost.upto[exit_index]) + heads
            return exit_index, float(table.loss[exit_index, sample]), cost
    own = float(table.cost.head[last] + table.cost.gate[last])
    return last, float(table.loss[last, sample]), float(table.cost.upto[last]) + heads + own


def mean_loss_and_cost(table: ExitTable, configuration: Configuration) -> tuple[float, float]:
    """Mean loss, and mean cost as a share of the backbone's."""
    left = [leave(table, configuration, sample) for sample in range(table.samples)]
    loss = sum(one[1] for one in left) / table.samples
    cost = sum(one[2] for one in left) / (table.samples * float(table.cost.upto[-1]))
    return loss, cost


def excess(table: ExitTable, configuration: Configuration, sample: int) -> float:
    """Excess loss of one sample over the backbone, in [0, 1]."""
    difference = leave(table, configuration, sample)[1] - float(table.loss[-1, sample])
    return min(max(difference, 0.0), 1.0)
