import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.decide.guarantees.crc import ConformalRisk
from offramp.decide.guarantees.guarantee import Guarantee
from offramp.decide.ladder import ladder
from offramp.testing.guarantees import GuaranteeSuite, cheapest, world
from tests.reference import guarantees as reference


class TestConformalRisk(GuaranteeSuite):
    @pytest.fixture
    def guarantee(self) -> Guarantee:
        return ConformalRisk()

    def test_it_is_no_statement_with_a_probability(self, guarantee: Guarantee) -> None:
        """In a third of the worlds and more the risk is larger than the level, whatever delta was asked for."""
        over = []
        for seed in range(300):
            found = world(seed, samples=4000)
            over.append(found.risk[cheapest(guarantee.prove(found.losses, 0.0135, 0.01), 0.0135)] > 0.0135)
        assert np.mean(over) > 1 / 3

    def test_losses_that_fall_along_the_path_would_break_it(self) -> None:
        """Why running maxima are taken: the last point below the level, gaps and all, is too far on average."""
        chosen = []
        for seed in range(300):
            generator = np.random.default_rng(seed)
            losses = (generator.random((200, 100)) < 0.05).astype(float)  # all points have a risk of 5 %
            mean = losses.mean(axis=1)
            chosen.append(0.05 if (mean <= (101 * 0.04 - 1) / 100).any() else 0.0)
            assert ConformalRisk().prove(losses, 0.04, 0.1).epsilon[-1] not in (0.01, 0.02, 0.04)
        assert np.mean(chosen) > 0.04


@given(
    st.integers(1, 6).flatmap(
        lambda points: st.lists(
            st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=points, max_size=points), min_size=1, max_size=60
        )
    ),
    st.sampled_from([0.02, 0.05, 0.13]),
)
def test_each_level_is_that_of_the_definition(columns: list[list[float]], level: float) -> None:
    losses = np.array(columns).T
    found = ConformalRisk().prove(losses, level, 0.1).epsilon
    for step, _ in ladder(level, 0.1):
        passed = sum(epsilon is not None and epsilon <= step for epsilon in found)
        assert passed == reference.conformal(losses.tolist(), step)
