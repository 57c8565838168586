from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from offramp.decide.replay import operating_point
from offramp.search.path import falling
from offramp.types import Configuration, ExitTable
from tests.reference.front import dominated
from tests.tables import configurations, tables


@given(tables(binary=False), st.data())
def test_a_path_is_the_front_of_what_is_cheaper_than_the_backbone(table: ExitTable, data: st.DataObject) -> None:
    found = data.draw(st.lists(configurations(table.exits - 1), max_size=8))
    path = falling(table, found)
    assert path[0] == Configuration.full(table.exits - 1)
    points = [(p.cost, p.loss) for p in (operating_point(table, c, "") for c in found)]
    met = [(p.cost, p.loss) for p in (operating_point(table, c, "") for c in path[1:])]
    assert set(met) == {point for point in points if point[0] < 1.0 and not dominated(point, points)}
    assert all(before[0] > after[0] for before, after in pairwise([(1.0, np.nan), *met]))
