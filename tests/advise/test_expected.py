"""What is expected, against counting samples one by one."""

import numpy as np
import pytest
import torch
from scipy.stats import binom

from offramp.advise.expected import (
    MOST,
    Expected,
    Half,
    break_even,
    certifiable,
    chosen,
    expected,
    fall,
    followed,
    passing,
)
from offramp.testing.searchers import random_table
from offramp.types import Configuration, CostProfile, ExitTable


def half(seed: int = 0, samples: int = 200) -> Half:
    return Half(random_table(seed=seed, samples=samples), random_table(seed=seed + 1, samples=samples))


def seconds(size: int = 1) -> CostProfile:
    return CostProfile(
        "s", np.array([0.3, 0.5, 0.6, 1.0]), np.array([0.1, 0.05, 0.1, 0.0]), np.zeros(4), batch_size=size
    )


def by_hand(table: ExitTable, configuration: Configuration, profile: CostProfile) -> tuple[float, float, float]:
    """Mean cost share, mean loss and share that leaves early, sample by sample."""
    cost, loss, early = 0.0, 0.0, 0
    for sample in range(table.samples):
        spent, left = 0.0, table.exits - 1
        for exit_ in range(table.exits - 1):
            if not configuration.enabled[exit_]:
                continue
            spent += float(profile.head[exit_] + profile.gate[exit_])
            if table.score[exit_, sample] >= configuration.threshold[exit_]:
                left = exit_
                break
        cost += spent + float(profile.upto[left])
        loss += float(table.loss[left, sample])
        early += left < table.exits - 1
    return cost / table.samples / profile.backbone, loss / table.samples, early / table.samples


def test_figures_are_those_of_a_replay_sample_by_sample() -> None:
    pairs = [(half(seed), Configuration((True, False, True), (t, 1.0, t))) for seed, t in ((0, 0.8), (5, 0.6))]
    macs = pairs[0][0].read.cost
    found = expected(pairs, [seconds(1), seconds(32)], macs)
    slow = np.mean([by_hand(one.read, c, macs) for one, c in pairs], axis=0)
    timed = np.mean([by_hand(one.read, c, seconds())[0] for one, c in pairs])
    torch.testing.assert_close(np.array([found.cost, found.disagreement, found.early]), slow)
    assert found.time == {1: pytest.approx(timed), 32: pytest.approx(timed)}
    assert found.overhead[1] == pytest.approx(0.2)


def test_break_even_is_where_the_cost_is_that_of_the_plain_model() -> None:
    leaving, share = np.array([0.2, 0.7, 1.15]), np.array([0.3, 0.1, 0.6])
    found = break_even(leaving, share)
    assert found is not None
    mixed = np.append(share[:-1] / share[:-1].sum() * found, 1.0 - found)
    assert float(mixed @ leaving) == pytest.approx(1.0)
    assert break_even(leaving, np.array([0.0, 0.0, 1.0])) is None
    assert break_even(np.array([1.1, 1.15]), np.array([0.5, 0.5])) is None  # leaving is dearer than staying away


def test_the_chosen_one_is_the_cheapest_that_keeps_the_goal_where_it_is_chosen() -> None:
    one = half()
    path = one.path("shared", 0.05)
    found = chosen(one, path, 0.05)
    kept = [c for c in path if by_hand(one.choose, c, one.choose.cost)[1] <= 0.05 + 1e-12]
    assert by_hand(one.choose, found, one.choose.cost)[0] == pytest.approx(
        min(by_hand(one.choose, c, one.choose.cost)[0] for c in kept)
    )


def test_passing_stops_at_the_first_that_fails_as_a_certificate_does() -> None:
    one = half()
    path = one.path("shared", 0.05)
    losses = [by_hand(one.read, c, one.read.cost)[1] for c in path]
    first = next(index for index, loss in enumerate(losses) if loss > 0.04 + 1e-12)
    assert passing(one, path, 0.04) == path[first - 1]
    assert passing(one, path, 1.0) == path[-1]


@pytest.mark.parametrize(("samples", "max_drop"), [(300, 0.01), (1000, 0.01), (2944, 0.01), (500, 0.05)])
def test_certifiable_is_the_exact_binomial_limit(samples: int, max_drop: float) -> None:
    """At the level asked for, 0.07 of delta = 0.1 is spent (`decide.ladder`)."""
    passes = [k for k in range(samples) if binom.cdf(k, samples, max_drop) <= 0.07]
    assert certifiable(samples, max_drop, 0.1, "ltt") == (max(passes) / samples if passes else None)


def test_a_learning_curve_is_followed_on_a_logarithmic_scale() -> None:
    """A cost that falls by a tenth with three times as many samples, fitted on 3 n and followed to 27 n."""
    costs = {n: 0.9 ** (np.log(n) / np.log(3)) for n in (1, 3, 27)}
    by = fall([costs[1], costs[1] / 2], [costs[3], costs[3] / 2])
    point = Expected(costs[3], 0.01, 0.6, {1: costs[3] / 2}, {1: 0.1}, {1: 0.2})
    found = followed(point, by, float(np.log(27 / 3) / np.log(3)), 0.1)
    assert found.cost == pytest.approx(costs[27])
    assert found.time[1] == pytest.approx(costs[27] / 2)
    assert (found.disagreement, found.overhead) == (0.01, {1: 0.1})
    assert (found.early, found.break_even) == (
        None,
        {1: None},
    )  # it does not say how many more leave
    assert followed(point, 0.0, 2.0, 0.1) == point


def test_it_is_not_followed_down_for_ever_nor_up_nor_back() -> None:
    point = Expected(0.8, 0.01, 0.6, {1: 0.9}, {1: 0.1}, {1: 0.2})
    assert followed(point, 0.1, 2.0, 0.7).cost == 0.7  # no better than an oracle
    assert followed(point, 0.1, 10.0, 0.1).cost == pytest.approx(0.8 * 0.9**MOST)
    assert followed(point, 0.1, -1.0, 0.1) == point  # heads learn from fewer than probes did
    assert followed(point, fall([0.7], [0.8]), 2.0, 0.1) == point  # more samples did not help
    assert followed(point, 0.1, 2.0, 0.85).cost == 0.8
