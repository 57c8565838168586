import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.decide.replay import above_backbone, excess, operating_point, oracle_cost, replay
from offramp.errors import InputError
from offramp.testing.searchers import random_table
from offramp.types import Configuration, ExitTable
from tests.reference import replay as reference
from tests.tables import cases, tables


@given(cases(binary=False))
def test_every_sample_leaves_as_the_definition_says(case: tuple[ExitTable, Configuration]) -> None:
    table, configuration = case
    outcome = replay(table, configuration)
    slow = [reference.leave(table, configuration, sample) for sample in range(table.samples)]
    assert list(zip(outcome.exit_index.tolist(), outcome.loss.tolist(), outcome.cost.tolist(), strict=True)) == slow


@given(cases(binary=False))
def test_excess_as_defined(case: tuple[ExitTable, Configuration]) -> None:
    table, configuration = case
    slow = [reference.excess(table, configuration, sample) for sample in range(table.samples)]
    assert excess(table, configuration).tolist() == slow


@given(cases(), st.integers(0, 3), st.floats(0.0, 1.0))
def test_raising_a_threshold_never_lowers_a_cost(case: tuple[ExitTable, Configuration], index: int, by: float) -> None:
    table, configuration = case
    thresholds = list(configuration.threshold)
    if index < len(thresholds):
        thresholds[index] += by
    raised = dataclasses.replace(configuration, threshold=tuple(thresholds))
    assert (replay(table, raised).cost >= replay(table, configuration).cost).all()


@given(cases())
def test_excess_error_bounds_the_drop_of_accuracy(case: tuple[ExitTable, Configuration]) -> None:
    table, configuration = case
    drop = replay(table, configuration).loss.sum() - table.loss[-1].sum()
    assert excess(table, configuration).sum() >= drop


@given(cases(binary=False))
def test_operating_point_means_the_replay(case: tuple[ExitTable, Configuration]) -> None:
    table, configuration = case
    point = operating_point(table, configuration, "mine")
    loss, cost = reference.mean_loss_and_cost(table, configuration)
    assert (point.name, point.split, point.bound) == ("mine", "choose", None)
    assert point.loss == pytest.approx(loss)
    assert point.cost == pytest.approx(cost)
    left = [reference.leave(table, configuration, sample)[0] for sample in range(table.samples)]
    assert point.exit_share == tuple(left.count(e) / table.samples for e in range(table.exits))


def test_a_score_equal_to_the_threshold_leaves() -> None:
    table = random_table(0)
    at = float(table.score[0, 0])
    above = float(np.nextafter(at, 2.0))
    assert replay(table, Configuration((True, False, False), (at, 1.0, 1.0))).exit_index[0] == 0
    assert replay(table, Configuration((True, False, False), (above, 1.0, 1.0))).exit_index[0] == 3


def test_scores_in_single_precision_are_not_rounded_up_to_the_threshold() -> None:
    table = random_table(0)
    single = dataclasses.replace(table, score=table.score.astype(np.float32))
    above = float(np.nextafter(np.float64(single.score[0, 0]), 2.0))
    assert replay(single, Configuration((True, False, False), (above, 1.0, 1.0))).exit_index[0] == 3


def test_a_nan_threshold_of_a_disabled_exit_is_ignored() -> None:
    table = random_table(0)
    configuration = Configuration((False, True, False), (float("nan"), 0.5, float("nan")))
    assert set(replay(table, configuration).exit_index.tolist()) == {1, 3}


@given(tables(binary=False))
def test_oracle_leaves_at_the_first_exit_no_worse_than_the_backbone(table: ExitTable) -> None:
    spent = 0.0
    for sample in range(table.samples):
        heads = 0.0
        for e in range(table.exits):
            heads += float(table.cost.head[e] + table.cost.gate[e])
            if table.loss[e, sample] <= table.loss[-1, sample]:
                spent += float(table.cost.upto[e]) + heads
                break
    assert oracle_cost(table) == pytest.approx(spent / table.samples / table.cost.backbone)


@given(tables(binary=False))
def test_the_backbone_is_not_above_itself(table: ExitTable) -> None:
    above = above_backbone(table)
    assert (above.loss[-1] == 0.0).all()
    assert ((above.loss >= 0.0) & (above.loss <= 1.0)).all()


def test_a_configuration_for_another_number_of_exits_is_refused() -> None:
    with pytest.raises(InputError, match="3 exits besides the last, got one for 2"):
        replay(random_table(0), Configuration.full(2))
