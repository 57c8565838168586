from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from offramp.errors import InputError, UnknownNameError
from offramp.inputs import leaves, select
from offramp.model.backbone import Backbone
from offramp.model.capture import within
from offramp.model.points import analyse
from offramp.model.segments import Chain, State
from tests.model.networks import SHAPING, Middle, awkward
from tests.toys import NAMES, TEXT, live, logits_of, whole


def states(chain: Chain, state: State) -> list[State]:
    """The state before the first segment and after each."""
    found = [state]
    with torch.no_grad():
        for index in range(len(chain.segments)):
            given = tuple(value.clone() for value in found[-1])  # a segment may work in place
            found.append(chain.segment(index, given))
    return found


def everywhere(backbone: Backbone) -> Chain:
    return backbone.chain([point.name for point in backbone.points])


@pytest.mark.parametrize("name", sorted(NAMES))
@settings(deadline=None, max_examples=20)
@given(data=st.data(), batch=st.integers(1, 8), seed=st.integers(0, 99))
def test_a_segment_on_a_subset_is_the_subset_of_the_segment(
    name: str, data: st.DataObject, batch: int, seed: int
) -> None:
    chain = everywhere(live(name).backbone)
    whole_batch = states(chain, leaves(NAMES[name].inputs(batch, seed)))
    chosen = data.draw(st.lists(st.integers(0, batch - 1), min_size=1, max_size=batch, unique=True))
    staying = torch.tensor(chosen)
    for index in range(len(chain.segments)):
        part = tuple(value.index_select(0, staying) for value in whole_batch[index])
        with torch.no_grad():
            found = chain.segment(index, part)
        expected = tuple(value.index_select(0, staying) for value in whole_batch[index + 1])
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", sorted(NAMES))
@settings(deadline=None, max_examples=15)
@given(data=st.data(), batch=st.integers(1, 5))
def test_cut_anywhere_the_model_answers_the_same(name: str, data: st.DataObject, batch: int) -> None:
    backbone, inputs = live(name).backbone, NAMES[name].inputs(batch, 2)
    on = data.draw(st.lists(st.booleans(), min_size=len(backbone.points), max_size=len(backbone.points)))
    names = [point.name for point, here in zip(backbone.points, on, strict=True) if here]
    found = states(backbone.chain(names), leaves(inputs))
    torch.testing.assert_close(found[-1][0], whole(backbone.model, inputs), rtol=1e-5, atol=1e-5)
    for state, name_ in zip(found[1:], names, strict=False):
        assert tuple(state[0].shape) == (batch, *backbone.point(name_).feature_shape)


def test_the_mask_travels_and_shrinks_with_the_batch() -> None:
    """It does matter: with the mask of other samples the answer is another."""
    chain = everywhere(live("text").backbone)
    inputs = TEXT.inputs(6, 5)
    assert isinstance(inputs, dict)
    assert len({int(row.sum()) for row in inputs["attention_mask"]}) > 2
    at_cut = states(chain, leaves(inputs))[1]
    assert [tuple(value.shape[:1]) for value in at_cut] == [(6,), (6,)]
    staying, others = torch.tensor([4, 1]), torch.tensor([0, 2])
    right = tuple(value.index_select(0, staying) for value in at_cut)
    wrong = (right[0], at_cut[1].index_select(0, others))
    rest = Chain(chain.segments[1:])
    expected = whole(live("text").backbone.model, select(inputs, staying))
    torch.testing.assert_close(states(rest, right)[-1][0], expected, rtol=1e-4, atol=1e-4)
    assert float((states(rest, wrong)[-1][0] - expected).abs().max()) > 1e-2


@cache
def analysed(middle: Middle) -> Backbone:
    return analyse(awkward(middle), torch.randn(2, 4), logits_of)


@pytest.mark.parametrize("middle", SHAPING)
@settings(deadline=None, max_examples=10)
@given(batch=st.integers(1, 9))
def test_batch_sizes_and_constants_are_made_anew_in_each_segment(middle: Middle, batch: int) -> None:
    backbone = analysed(middle)
    model, drawn = backbone.model, torch.randn(9, 4, generator=torch.Generator().manual_seed(1))
    assert len(backbone.points) == 3
    chain = everywhere(backbone)
    torch.testing.assert_close(
        states(chain, (drawn[:batch],))[-1][0], whole(model, drawn[:batch]), rtol=1e-5, atol=1e-5
    )
    state = states(chain, (drawn,))[1]
    rest = states(Chain(chain.segments[1:]), tuple(value[:batch] for value in state))
    torch.testing.assert_close(rest[-1][0], whole(model, drawn)[:batch], rtol=1e-5, atol=1e-5)


def test_segments_hold_no_weight_they_do_not_use() -> None:
    chain = everywhere(live("cnn").backbone)
    held = [{within(name).split(".")[0] for name, _ in segment.named_parameters()} for segment in chain.segments]
    assert held == [{"conv", "bn"}, {"layer1"}, {"layer1"}, {"layer2"}, {"layer2", "fc"}]


def test_points_out_of_order_or_unknown_are_refused() -> None:
    backbone = live("mlp").backbone
    with pytest.raises(InputError, match="by depth, each once, got 5, 2"):
        backbone.chain(["5", "2"])
    with pytest.raises(InputError, match="each once, got 2, 2"):
        backbone.chain(["2", "2"])
    with pytest.raises(UnknownNameError, match="expected an exit point among 2, 5, 8; got 'nowhere'"):
        backbone.chain(["nowhere"])


class Nested(nn.Module):
    """Takes ids and a mask by position, and returns the logits second in a nested output."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.one, self.two = nn.Embedding(10, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> dict[str, object]:
        x = (self.words(ids) * mask[..., None]).sum(1)
        x = torch.tanh(self.one(x)) * mask.sum(1, keepdim=True)
        return {"extra": (x, [ids.float()]), "logits": self.two(x)}


def test_integer_inputs_and_nested_outputs() -> None:
    model = Nested().eval()
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 10, (5, 4), generator=generator)
    mask = (torch.arange(4) < torch.tensor([[1], [4], [2], [3], [4]])).float()
    backbone = analyse(model, (ids, mask), logits_of)
    chain = everywhere(backbone)
    for rows in ([0, 1, 2, 3, 4], [3], [4, 0]):
        index = torch.tensor(rows)
        expected = whole(model, (ids[index], mask[index]))
        found = states(chain, (ids[index], mask[index]))[-1][0]
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
