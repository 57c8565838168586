import numpy as np
import pytest

from offramp.decide.guarantees.guarantee import Guarantee
from offramp.decide.guarantees.ltt_bonferroni import Bonferroni
from offramp.decide.guarantees.ltt_holm import Holm
from offramp.testing.guarantees import GuaranteeSuite, world


class TestHolm(GuaranteeSuite):
    @pytest.fixture
    def guarantee(self) -> Guarantee:
        return Holm()

    def test_the_order_of_the_points_does_not_matter(self, guarantee: Guarantee) -> None:
        losses, order = world(2).losses, np.random.default_rng(0).permutation(9)
        proved = guarantee.prove(losses, self.level, self.delta).epsilon
        assert guarantee.prove(losses[order], self.level, self.delta).epsilon == tuple(proved[i] for i in order)
        assert len(set(proved)) > 3

    def test_it_proves_no_less_than_bonferroni(self, guarantee: Guarantee) -> None:
        more = 0
        for seed in range(50):
            losses = world(seed).losses
            both = [one.prove(losses, self.level, self.delta).epsilon for one in (guarantee, Bonferroni())]
            holm, plain = ([1.0 if epsilon is None else epsilon for epsilon in found] for found in both)
            assert all(h <= p for h, p in zip(holm, plain, strict=True))
            more += holm != plain
        assert more
