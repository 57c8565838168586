"""Configurations found one by one, put into the order that a searcher promises."""

from collections.abc import Iterable

import numpy as np

from offramp.decide.pareto import nondominated
from offramp.decide.replay import operating_point
from offramp.types import Configuration, ExitTable


def falling(table: ExitTable, found: Iterable[Configuration]) -> list[Configuration]:
    """The plain backbone, then those of `found` that are cheaper and not dominated, from dear to cheap.

    Cost and loss are the means over `table`. One that costs less and loses less than another takes its place.

    Example:
        >>> from offramp.testing.searchers import random_table
        >>> some = [Configuration((True, False, False), (t, 1.0, 1.0)) for t in (0.2, 0.9, 0.999)]
        >>> [c.threshold[0] for c in falling(random_table(seed=0), some)]
        [1.0, 0.9, 0.2]
    """
    candidates = list(dict.fromkeys(found))
    points = [operating_point(table, configuration, "") for configuration in candidates]
    cost = np.array([point.cost for point in points], dtype=np.float64)
    loss = np.array([point.loss for point in points], dtype=np.float64)
    kept = [candidates[i] for i in nondominated(cost, loss) if cost[i] < 1.0]
    return [Configuration.full(table.exits - 1), *reversed(kept)]
