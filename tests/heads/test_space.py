from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.heads import NAMES, head_type
from offramp.heads.convolutions import Convolutions
from offramp.heads.reduction import Attend, Whole
from offramp.heads.space import HeadSpace
from offramp.testing.heads import SHAPES

TINY = HeadSpace(
    named=("sdn", "mlp3x500"),
    grids=(2, 4),
    channels=(8,),
    kernels=(1, 3),
    strides=(1, 2),
    linears=1,
    widths=(16, 32),
    drops=(0, 10),
)

ALONE = {name for name, kind in NAMES.items() if not kind.hears}


def every(space: HeadSpace, shape: tuple[int, ...]) -> list[str]:
    """All heads of a space, by answering every question in every way."""
    found: list[str] = []
    waiting: list[list[Any]] = [[]]
    while waiting:
        person = Answering(waiting.pop())
        found.append(space.draw(person, shape))
        waiting += person.otherwise
    return found


@dataclass
class Answering:
    """Says what it was told to, then the first choice, and notes how else it could have answered."""

    told: list[Any]
    said: list[Any] = field(default_factory=list)
    otherwise: list[list[Any]] = field(default_factory=list)

    def __call__(self, name: str, choices: tuple[Any, ...]) -> Any:
        if len(self.said) < len(self.told):
            answer = self.told[len(self.said)]
        else:
            answer = choices[0]
            self.otherwise += [[*self.said, other] for other in choices[1:]]
        self.said.append(answer)
        return answer


def test_a_space_is_what_its_fields_say() -> None:
    linear = ["", *(f"-fc{width}{drop}" for width, drop in product((16, 32), ("", "-drop10")))]
    convs = [f"-conv8k{kernel}s{stride}" for kernel, stride in product((1, 3), (1, 2))]
    stacks = ["", *convs, *(one + two for one, two in product(convs, convs))]
    expected = [looks + layers for looks, layers in product(("global", "grid2", "grid4"), linear)]
    expected += ["whole" + stack + layers for stack, layers in product(stacks, linear)]
    found = every(TINY, (8, 6, 6))
    assert sorted(found) == sorted([*TINY.named, *expected])
    assert len(found) == len(set(found)) == 2 + 15 + 21 * 5


def test_what_is_offered_depends_on_the_feature() -> None:
    space = HeadSpace()
    assert space.families((16, 32, 32)) == ("named", "global", "grid", "whole")
    assert space.families((512, 28, 28)) == ("named", "global", "grid")
    assert space.families((197, 192)) == ("named", "global", "attend")
    assert space.families((64,)) == ("named", "global")
    assert space.sides((16, 32, 32)) == space.sides((14, 14, 96)) == (2, 4, 8)
    assert space.sides((64, 8, 8)) == space.sides((8, 8, 64)) == (2, 4)
    assert ALONE - set(space.names((16, 32, 32))) == {"token-mlp"}
    lost = {"flatten-fc256", "conv-fc256", "conv2-fc128", "gati-fc", "gati-conv"}
    assert ALONE - set(space.names((512, 28, 28))) == {*lost, "token-mlp"}
    assert ALONE - set(space.names((197, 192))) == lost


@pytest.mark.parametrize("shape", [*SHAPES, (16, 32, 32), (512, 28, 28)])
@given(seed=st.integers(0, 2**32 - 1))
def test_every_head_looks_at_what_is_recorded(shape: tuple[int, ...], seed: int) -> None:
    space, generator = HeadSpace(), np.random.default_rng(seed)

    def ask(name: str, choices: tuple[Any, ...]) -> Any:
        return choices[generator.integers(len(choices))]

    recorded = {head_type(name).reduction for name in space.looks(shape)}
    head = head_type(space.draw(ask, shape))
    assert head.reduction in recorded
    assert len(head.hidden) <= 4
    if isinstance(head.stem, Convolutions):
        assert isinstance(head.reduction, Whole)
        assert len(shape) != 2
    assert len(shape) == 2 or not any(isinstance(looks, Attend) for looks in recorded)


def test_sdn_and_the_five_of_dyce_are_in_the_space() -> None:
    five = {"pooled-linear", "mlp3x500", "mlp3x1000", "mlp5x500", "mlp5x1000"}
    for shape in SHAPES:
        assert {"sdn", *five} <= set(HeadSpace().names(shape))
