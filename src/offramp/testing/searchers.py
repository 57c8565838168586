"""The tests every searcher has to pass, and random tables to run them on.

A searcher's test file is `class TestMine(SearcherSuite)` with one fixture `searcher`.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from offramp.decide.replay import operating_point
from offramp.errors import InputError
from offramp.search.searcher import Searcher
from offramp.types import Configuration, CostProfile, ExitTable, Goal


def random_table(
    seed: int, *, exits: int = 4, samples: int = 200, levels: int | None = None, risk: str = "disagreement"
) -> ExitTable:
    """A table with the look of a real one: deeper exits agree more often, and the score knows about it,
    imperfectly.

    Args:
        seed: same seed, same table.
        exits: number of exits, the backbone's own output included.
        samples: number of samples.
        levels: round the scores to so many levels, which makes ties; None keeps them apart.
        risk: `"disagreement"`, or `"error"`, where the backbone itself is wrong on a tenth of the samples.
    """
    generator = np.random.default_rng(seed)
    depth = np.arange(1, exits + 1) / exits
    ease = generator.normal(size=samples) + 4.0 * depth[:, None] - 0.8
    right = 1.0 / (1.0 + np.exp(-1.5 * ease))
    loss = (generator.random((exits, samples)) > right).astype(np.float64)
    loss[-1] = generator.random(samples) < 0.1 if risk == "error" else 0.0
    score = 1.0 / (1.0 + np.exp(-(1.5 * ease + generator.normal(size=(exits, samples)))))
    if levels is not None:
        score = np.round(score * levels) / levels
    head = np.append(np.full(exits - 1, 20.0), 0.0)
    cost = CostProfile("macs", upto=np.round(1000.0 * depth), head=head, gate=np.append(np.ones(exits - 1), 0.0))
    return ExitTable(score=score, loss=loss, cost=cost, split="choose", risk=risk)


class SearcherSuite:
    """What holds for every searcher; subclass it and give the fixture `searcher`."""

    goal = Goal(0.02)

    def tables(self) -> list[ExitTable]:
        """Tables with and without ties, with labels and without, down to the plain backbone alone."""
        return [
            random_table(1),
            random_table(2, levels=8),
            random_table(3, risk="error"),
            random_table(4, exits=2, samples=1),
            random_table(5, exits=1, samples=20),
            random_table(6, exits=7, samples=60, levels=20),
        ]

    def test_every_configuration_fits_the_table(self, searcher: Searcher) -> None:
        """One flag and one threshold per exit, as plain Python values."""
        for table in self.tables():
            for configuration in searcher.search(table, self.goal):
                assert len(configuration.enabled) == table.exits - 1
                assert all(type(on) is bool for on in configuration.enabled)
                assert all(type(threshold) is float for threshold in configuration.threshold)

    def test_starts_with_the_plain_backbone(self, searcher: Searcher) -> None:
        """The first configuration never leaves early."""
        for table in self.tables():
            assert searcher.search(table, self.goal)[0] == Configuration.full(table.exits - 1)

    def test_goes_from_dear_to_cheap_without_repeating_itself(self, searcher: Searcher) -> None:
        """Each configuration is cheaper than the one before, so none is dearer than the backbone."""
        for table in self.tables():
            cost = [operating_point(table, c, "").cost for c in searcher.search(table, self.goal)]
            assert all(before > after for before, after in pairwise(cost))

    def test_finds_a_saving_where_there_is_one(self, searcher: Searcher) -> None:
        """An easy table is not answered with the plain backbone alone."""
        table = random_table(7, samples=500)
        cheapest = searcher.search(table, Goal(0.1))[-1]
        assert operating_point(table, cheapest, "").cost < 0.9

    def test_two_calls_give_the_same(self, searcher: Searcher) -> None:
        """Searching is deterministic."""
        for table in self.tables():
            assert searcher.search(table, self.goal) == searcher.search(table, self.goal)

    def test_the_table_is_left_alone(self, searcher: Searcher) -> None:
        """Scores and losses are not written to."""
        table, untouched = random_table(8), random_table(8)
        searcher.search(table, self.goal)
        np.testing.assert_array_equal(table.score, untouched.score)
        np.testing.assert_array_equal(table.loss, untouched.loss)

    def test_scores_that_decide_together_are_taken_so_or_refused(self, searcher: Searcher) -> None:
        """What a searcher cannot do it says; what it returns gets cheaper by the rule of the table."""
        for rule in ("accumulate", "patience"):
            table = replace(random_table(10, levels=6), rule=rule)
            try:
                path = searcher.search(table, Goal(0.1))
            except InputError:
                continue
            cost = [operating_point(table, c, "").cost for c in path]
            assert cost[-1] < 0.9
            assert all(before > after for before, after in pairwise(cost))

    def test_exits_that_cost_more_than_they_save_stay_off(self, searcher: Searcher) -> None:
        """Heads dearer than the backbone are never used."""
        table = random_table(9)
        dear = CostProfile("macs", table.cost.upto, head=np.array([1e6, 1e6, 1e6, 0.0]), gate=table.cost.gate)
        table = ExitTable(table.score, table.loss, dear, table.split)
        assert searcher.search(table, self.goal) == [Configuration.full(3)]
