from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from offramp.errors import CaptureError
from offramp.model import in_place
from offramp.model.backbone import Backbone
from offramp.model.by_graph import by_graph
from offramp.model.capture import capture
from offramp.model.points import analyse
from tests.model.networks import MUTATING, Middle, awkward, counting, through_dropout
from tests.toys import CNN, NAMES, graph_of, logits_of, untouched, whole

DRAWN = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))


@cache
def analysed(middle: Middle) -> Backbone:
    return analyse(awkward(middle), DRAWN[:2].clone(), logits_of)


@pytest.mark.parametrize("middle", MUTATING)
@settings(deadline=None, max_examples=10)
@given(batch=st.integers(1, 6))
def test_no_in_place_operation_is_lost_between_segments(middle: Middle, batch: int) -> None:
    backbone, inputs = analysed(middle), DRAWN[:batch]
    assert [point.name for point in backbone.points] == ["one", "two", "three"]
    chain = backbone.chain(["one", "two", "three"])
    state: tuple[torch.Tensor, ...] = (inputs.clone(),)
    with torch.no_grad():
        for index in range(4):
            state = chain.segment(index, state)
    torch.testing.assert_close(state[0], whole(backbone.model, inputs.clone()), rtol=0, atol=0)


@pytest.mark.parametrize("middle", MUTATING)
def test_the_operations_do_change_the_answer(middle: Middle) -> None:
    """Otherwise the test above would prove nothing."""
    assert not torch.equal(whole(awkward(middle), DRAWN.clone()), whole(awkward(lambda _, x: x), DRAWN.clone()))


def test_in_place_activations_that_are_read_by_their_own_name_stay() -> None:
    graph = capture(CNN.model(), CNN.inputs(2), logits_of).graph_module.graph
    names = {str(node.target) for node in graph.nodes}
    assert {"aten.relu_.default", "aten.add_.Tensor"} <= names
    assert not in_place.hidden(graph)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_toys_write_to_none_of_their_buffers(name: str) -> None:
    graph = graph_of(name).captured.graph_module.graph
    assert in_place.attributes(graph) == []


def test_what_the_exporter_cannot_tell_is_found_by_running_it() -> None:
    model = awkward(through_dropout)
    with untouched(model), pytest.raises(CaptureError, match="answer as the model does, got other logits"):
        by_graph(model, DRAWN[:2].clone(), logits_of)


def test_a_model_that_writes_to_its_buffers_is_refused_before_it_runs() -> None:
    model = awkward(counting)
    with (
        untouched(model),
        pytest.raises(CaptureError, match=r"leaves its buffers alone .* Awkward, which writes to count"),
    ):
        capture(model, DRAWN[:2], logits_of)


class OnItsInput(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = torch.nn.Linear(4, 8), torch.nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x[:, 0].mul_(5.0)
        logits: torch.Tensor = self.two(self.one(x).relu())
        return logits


def test_a_model_that_works_on_its_inputs_is_analysed_on_copies() -> None:
    model, example = OnItsInput().eval(), DRAWN[:2].clone()
    backbone = analyse(model, example, logits_of)
    torch.testing.assert_close(example, DRAWN[:2], rtol=0, atol=0)
    chain = backbone.chain([point.name for point in backbone.points])
    state: tuple[torch.Tensor, ...] = (DRAWN.clone(),)
    with torch.no_grad():
        for index in range(len(chain.segments)):
            state = chain.segment(index, state)
    torch.testing.assert_close(state[0], whole(model, DRAWN.clone()), rtol=0, atol=0)
