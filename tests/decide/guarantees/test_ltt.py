import pytest

from offramp.decide.guarantees.guarantee import Guarantee
from offramp.decide.guarantees.ltt import LearnThenTest
from offramp.testing.guarantees import GuaranteeSuite


class TestLearnThenTest(GuaranteeSuite):
    @pytest.fixture
    def guarantee(self) -> Guarantee:
        return LearnThenTest()
