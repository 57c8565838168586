import pytest

from offramp.errors import UnknownNameError
from offramp.testing.trunk import TrunkSuite
from offramp.train import TRUNK, trunk_regime
from offramp.train.exit_weights import Alternating, ByDepth, Line, Mean, Only, Ramp
from offramp.train.parts import ALL, HEADS, PLAIN, UpTo
from offramp.train.phase import Length, Phase
from offramp.train.trunk_regimes import Make


@pytest.mark.parametrize("name", sorted(TRUNK))
class TestEveryName(TrunkSuite):
    @pytest.fixture
    def make(self, name: str) -> Make:
        return TRUNK[name]


@pytest.mark.parametrize(
    ("name", "phases"),
    [
        ("plain", [(PLAIN, Only(-1))]),
        ("disjoint", [(PLAIN, Only(-1)), (HEADS, Mean(final=False))]),
        ("joint", [(ALL, Mean())]),
        ("mixed", [(PLAIN, Only(-1)), (ALL, Mean())]),
        ("branch-wise", [(UpTo(0, -1), Only(0)), (UpTo(1, 0), Only(1)), (UpTo(2, 1), Only(2))]),
        ("alternating", [(ALL, Alternating(Only(-1), Line(1.0, 1.0)))]),
        ("branchynet", [(ALL, Line(1.0, 1.0))]),
        ("branchynet-falling", [(ALL, Line(1.0, 0.3))]),
        ("sdn", [(ALL, Ramp(0.01))]),
        ("pabee", [(ALL, ByDepth())]),
    ],
)
def test_the_phases_are_those_of_the_paper(name: str, phases: list[tuple[object, object]]) -> None:
    assert [(phase.learns, phase.weights) for phase in trunk_regime(name, exits=2).phases] == phases


def test_what_a_regime_leaves_open_is_taken_from_the_given_phase() -> None:
    like = Phase(length=Length(steps=7), clip=0.5, precision="bfloat16")
    for name in TRUNK:
        regime = trunk_regime(name, 3, like)
        assert {(phase.length, phase.clip, phase.precision) for phase in regime.phases} == {
            (Length(steps=7), 0.5, "bfloat16")
        }
        assert regime.source


def test_pretrained_weights_count_as_a_done_first_phase() -> None:
    assert trunk_regime("mixed", 3).done().phases == trunk_regime("joint", 3).phases
    assert trunk_regime("disjoint", 3).done().phases == trunk_regime("disjoint", 3).phases[1:]


def test_an_unknown_regime_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"expected a regime among alternating, .*, sdn; got 'jiont'"):
        trunk_regime("jiont", 3)
