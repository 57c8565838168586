import numpy as np
import pytest

from offramp.decide.betting import betting_upper
from offramp.decide.guarantees.guarantee import Guarantee
from offramp.decide.guarantees.ltt import LearnThenTest
from offramp.decide.guarantees.ucb_wsr import BettingBound
from offramp.decide.ladder import ladder
from offramp.testing.guarantees import GuaranteeSuite, cheapest, world
from tests.reference import guarantees as reference


class TestBettingBound(GuaranteeSuite):
    @pytest.fixture
    def guarantee(self) -> Guarantee:
        return BettingBound()

    @pytest.mark.parametrize("kind", ["nested", "fractions", "signed"])
    def test_each_level_is_that_of_the_literal_bound(self, guarantee: Guarantee, kind: str) -> None:
        """Of each point and of all before it, on the samples in the order in which they are bet on."""
        losses = world(3, kind, samples=150).losses
        order = np.random.default_rng(0).permutation(150)
        expected: list[float | None] = [None] * len(losses)
        for level, share in sorted(ladder(0.1, 0.1), reverse=True):
            for i, loss in enumerate(losses):
                if reference.betting_upper(loss[order].tolist(), share) >= level:
                    break
                expected[i] = level
        assert guarantee.prove(losses, 0.1, 0.1).epsilon == tuple(expected)
        assert len(set(expected)) > 1

    def test_gains_count(self, guarantee: Guarantee) -> None:
        """What others clip at 0 certifies cheaper points."""
        losses = world(0, "signed", samples=4000).losses
        reach = [cheapest(one.prove(losses, 0.02, 0.1), 0.02) or 0 for one in (guarantee, LearnThenTest())]
        assert reach[0] > reach[1]

    def test_bets_on_sorted_samples_would_be_won_by_cheating(self) -> None:
        """Why samples are shuffled: the zeros first, and a fortune is made before the first loss."""
        broken = 0
        for seed in range(30):
            found = world(seed, "sorted")
            upper = [betting_upper(loss, 0.1) for loss in found.losses]
            broken += any(risk > bound for risk, bound in zip(found.risk, upper, strict=True))
        assert broken > 27
