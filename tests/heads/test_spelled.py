import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.errors import InputError
from offramp.heads import NAMES, head_type
from offramp.heads.convolutions import Convolutions, Filter
from offramp.heads.head import HeadType
from offramp.heads.mixed import Mixed
from offramp.heads.reduction import Attend, Extremes, Global, Grid, Reduction, Whole
from offramp.heads.spelled import parsed, spelled
from offramp.heads.stem import Stem
from offramp.testing.heads import HeadSuite

SIZES = st.integers(1, 2048)
LAYERS = st.lists(st.tuples(SIZES, SIZES, SIZES), min_size=1, max_size=3)


@pytest.mark.parametrize(
    "name", ["global-fc12-drop10", "grid3-fc9-fc5", "extremes2-mix-fc7", "whole-conv8k3s2-conv16k1s1-fc32", "whole7"]
)
class TestSpelled(HeadSuite):
    @pytest.fixture
    def head_type(self, name: str) -> HeadType:
        return head_type(name)


@given(st.integers(0, 5), SIZES, LAYERS, st.lists(SIZES, max_size=4), st.integers(0, 99))
def test_a_head_is_what_its_name_spells(
    kind: int, size: int, layers: list[tuple[int, int, int]], hidden: list[int], drop: int
) -> None:
    every: list[Reduction] = [Global(), Grid(size), Attend(size), Whole(size), Extremes(size), Whole()]
    stems: dict[int, Stem] = {4: Mixed(), 5: Convolutions(tuple(layers))}
    head = HeadType(every[kind], tuple(hidden), drop / 100, stems.get(kind))
    assert parsed(spelled(head)) == head
    assert head_type(spelled(head)) == head


def test_names_say_what_is_built() -> None:
    convolutions = Convolutions(((32, 3, 2), (64, 5, 1)))
    assert parsed("whole-conv32k3s2-conv64k5s1-fc256-drop20") == HeadType(Whole(), (256,), 0.2, convolutions)
    assert parsed("whole4096-fc1024") == NAMES["gati-pool"]
    assert spelled(NAMES["sdn"]) == "extremes4-mix"
    assert spelled(NAMES["mlp5x500"]) == "global-fc500-fc500-fc500-fc500"


@pytest.mark.parametrize(
    "name",
    [
        *("grid", "grid0", "grid04", "global3", "grid4-fc0", "grid4-fc8-drop100", "grid4-mix", "extremes4", "mix", ""),
        *(
            "grid4-conv3k3s1",
            "whole8-conv3k3s1",
            "whole-conv3k3",
            "whole-fc8-conv3k3s1",
            "Global",
            "global-fc8 ",
            "huge",
        ),
    ],
)
def test_other_names_spell_nothing(name: str) -> None:
    assert parsed(name) is None


@pytest.mark.parametrize("head", [HeadType(Whole(), stem=Filter()), HeadType(Global(), (8,), 0.125)])
def test_what_no_name_can_say_is_refused(head: HeadType) -> None:
    with pytest.raises(InputError, match="expected a head that a name can spell"):
        spelled(head)
