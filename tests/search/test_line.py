import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.search.line import Arrivals, line
from offramp.types import Configuration, ExitTable
from tests.reference.replay import mean_loss_and_cost
from tests.tables import cases


@given(cases(binary=False), st.data())
def test_a_line_is_the_replay_of_each_of_its_settings(
    case: tuple[ExitTable, Configuration], data: st.DataObject
) -> None:
    table, base = case
    if table.exits == 1:
        return
    index = data.draw(st.integers(0, table.exits - 2))
    order = np.argsort(-table.score[index], kind="stable")
    found = line(table, Arrivals.of(table, order, base, index))
    assert not found.at(0).enabled[index]
    for setting, (loss, cost) in enumerate(zip(found.loss, found.cost, strict=True)):
        expected = mean_loss_and_cost(table, found.at(setting))
        assert (loss, cost) == (pytest.approx(expected[0]), pytest.approx(expected[1]))
