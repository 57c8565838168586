import numpy as np
import pytest

from offramp.decide.guarantees.guarantee import Guarantee
from offramp.decide.guarantees.ltt_bonferroni import Bonferroni
from offramp.testing.guarantees import GuaranteeSuite, world


class TestBonferroni(GuaranteeSuite):
    @pytest.fixture
    def guarantee(self) -> Guarantee:
        return Bonferroni()

    def test_the_order_of_the_points_does_not_matter(self, guarantee: Guarantee) -> None:
        losses, order = world(2).losses, np.random.default_rng(0).permutation(9)
        proved = guarantee.prove(losses, self.level, self.delta).epsilon
        assert guarantee.prove(losses[order], self.level, self.delta).epsilon == tuple(proved[i] for i in order)
        assert len(set(proved)) > 3
