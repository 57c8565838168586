"""How a batch reaches a model, whatever its forward looks like."""

from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import nn

from offramp.inputs import Inputs, call, concat
from offramp.model.multi_exit import MultiExit
from offramp.run.eager import Eager
from tests.toys import attached, logits_of


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
    found = Eager.of(live, logits_of).drive(inputs, lambda point, _: torch.arange(4 - point))
    torch.testing.assert_close(found, expected[:2])


def test_a_tuple_is_taken_whole_where_there_are_too_few_arguments() -> None:
    class Pairs(Body):
        def forward(self, pair: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
            return self.think(pair[0], pair[1])

    model, drawn = Pairs(), batch(2)
    torch.testing.assert_close(call(model, tuple(drawn.values())), model.think(**drawn))


def test_a_name_that_is_wrong_is_said_by_the_model() -> None:
    with pytest.raises(TypeError, match="z"):
        call(ByName(), {"x": torch.zeros(1, 3), "z": torch.zeros(1, 3)})


def test_texts_of_two_lengths_are_joined_with_padding() -> None:
    one = {"input_ids": torch.ones(2, 3, dtype=torch.long), "attention_mask": torch.ones(2, 3, dtype=torch.long)}
    other = {name: tensor.repeat(1, 2)[:1] for name, tensor in one.items()}
    joined = concat([one, other])
    assert isinstance(joined, dict)
    assert joined["attention_mask"].sum(1).tolist() == [3, 3, 6]
    assert joined["input_ids"].shape == (3, 6)
    with pytest.raises(RuntimeError):
        concat([torch.ones(1, 2), torch.ones(1, 3)])
