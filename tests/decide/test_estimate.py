import numpy as np
import pytest
from hypothesis import given

from offramp.decide.estimate import estimated_cost
from offramp.decide.replay import operating_point
from offramp.types import Configuration, CostProfile, ExitTable
from tests.tables import cases


@given(cases())
def test_by_the_profile_it_was_chosen_with_the_estimate_is_the_cost_itself(
    case: tuple[ExitTable, Configuration],
) -> None:
    table, configuration = case
    point = operating_point(table, configuration, "any")
    assert estimated_cost(point, table.cost) == pytest.approx(point.cost, rel=1e-9)


def test_a_slow_head_makes_an_exit_dearer_than_the_backbone() -> None:
    table = CostProfile("s", np.array([0.2, 1.0]), np.array([0.9, 0.0]), np.array([0.1, 0.0]))
    point = operating_point(_half(table), Configuration((True,), (0.5,)), "half")
    assert estimated_cost(point, table) == pytest.approx((0.5 * 1.2 + 0.5 * 2.0) / 1.0)


def _half(cost: CostProfile) -> ExitTable:
    return ExitTable(np.array([[0.9, 0.1], [1.0, 1.0]]), np.zeros((2, 2)), cost, "choose")
