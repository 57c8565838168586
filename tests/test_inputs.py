"""How a batch reaches a model, whatever its forward looks like."""

from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import nn

from offramp.errors import DataError
from offramp.inputs import Inputs, call, check_like, concat
from offramp.model.multi_exit import MultiExit
from tests.toys import attached, eager_of, logits_of


@dataclass
class Batch:
    x: torch.Tensor
    y: torch.Tensor


class Pair(NamedTuple):
    x: torch.Tensor
    y: torch.Tensor


@dataclass
class Answer:
    logits: torch.Tensor
    note: str = "made"


class Body(nn.Module):
    """Two inputs, several layers; the models below differ in how they take the inputs and give the answer."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(3, 8), nn.Linear(8, 8)
        self.three, self.head = nn.Linear(8, 8), nn.Linear(8, 4)

    def think(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.three(self.two(self.one(x + y).relu()).relu()).relu())
        return logits


class ByName(Body):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.think(x, y)


class Kwargs(Body):
    def forward(self, **named: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": self.think(named["x"], named["y"])}


class OneDict(Body):
    def forward(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, None]:
        return self.think(batch["x"], batch["y"]), None


class OneDataclass(Body):
    def forward(self, batch: Batch) -> Answer:
        return Answer(self.think(batch.x, batch.y))


class OneNamedTuple(Body):
    def forward(self, pair: Pair) -> torch.Tensor:
        return self.think(pair.x, pair.y)


def batch(size: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(size)
    return {name: torch.randn(size, 3, generator=generator) for name in ("x", "y")}


def answer(output: object) -> torch.Tensor:
    return output.logits if isinstance(output, Answer) else logits_of(output)


CASES: list[tuple[type[Body], bool]] = [
    (ByName, True),
    (ByName, False),
    (Kwargs, True),
    (OneDict, True),
    (OneDataclass, True),
    (OneDataclass, False),
    (OneNamedTuple, False),
    (OneNamedTuple, True),
]


@pytest.mark.parametrize(("kind", "named"), CASES)
def test_a_model_is_called_and_left_however_it_takes_its_inputs(kind: type[Body], named: bool) -> None:
    model, drawn = kind().eval(), batch(5)
    inputs: Inputs = drawn if named else tuple(drawn.values())
    with torch.no_grad():
        expected = model.think(**drawn)
        torch.testing.assert_close(answer(call(model, inputs)), expected, rtol=0, atol=0)
    live: MultiExit = attached(model, inputs)
    assert [point.name for point in live.points] == ["one", "two", "three"]
    found = eager_of(live).drive(inputs, lambda point, _: torch.arange(4 - point))
    assert found is not None
    torch.testing.assert_close(found.logits, expected[:2])


def test_a_tuple_is_taken_whole_where_there_are_too_few_arguments() -> None:
    class Pairs(Body):
        def forward(self, pair: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
            return self.think(pair[0], pair[1])

    model, drawn = Pairs(), batch(2)
    torch.testing.assert_close(call(model, tuple(drawn.values())), model.think(**drawn))


def test_a_name_that_is_wrong_is_said_by_the_model() -> None:
    with pytest.raises(TypeError, match="z"):
        call(ByName(), {"x": torch.zeros(1, 3), "z": torch.zeros(1, 3)})


class Scaled(Body):
    def forward(self, pair: Pair, scale: float = 1.0, *, flag: bool = True) -> torch.Tensor:
        return self.think(pair.x, pair.y) * scale


class Loose(Body):
    def forward(self, pair: tuple[torch.Tensor, torch.Tensor], *, flag: bool = True) -> torch.Tensor:
        return self.think(pair[0], pair[1])


class Alone(Body):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.think(x, x)


@pytest.mark.parametrize("kind", [Scaled, Loose])
def test_arguments_with_a_default_or_by_keyword_take_no_input(kind: type[Body]) -> None:
    model, drawn = kind(), batch(2)
    torch.testing.assert_close(call(model, tuple(drawn.values())), model.think(**drawn))


def test_a_misspelt_name_is_said_by_python() -> None:
    with pytest.raises(TypeError, match="image"):
        call(Alone(), {"image": torch.zeros(1, 3)})


def test_batches_of_two_sizes_are_not_joined() -> None:
    one = {"input_ids": torch.ones(2, 3), "attention_mask": torch.ones(2, 3)}
    joined = concat([one, one])
    assert isinstance(joined, dict)
    assert joined["input_ids"].shape == (4, 3)
    with pytest.raises(DataError, match=r"one size to join, got input_ids \(3,\).* and input_ids \(6,\)"):
        concat([one, {name: tensor.repeat(1, 2) for name, tensor in one.items()}])


def test_only_sequences_beside_a_mask_may_have_another_length() -> None:
    def some(length: int, width: int) -> dict[str, torch.Tensor]:
        return {"ids": torch.ones(1, length), "attention_mask": torch.ones(1, length), "tab": torch.ones(1, width)}

    check_like(some(9, 4), some(5, 4), "data")
    for other in (some(5, 3), {"ids": torch.ones(1, 5)}, torch.ones(1, 5)):
        with pytest.raises(DataError, match="in data; resize or convert them"):
            check_like(other, some(5, 4), "data")
