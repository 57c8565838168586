"""Inputs of other lengths and resolutions than those a model was captured with."""

import pytest
import torch

from offramp.errors import DataError
from offramp.inputs import Inputs
from offramp.model.resized import REMEMBERED, Chains
from offramp.model.segments import Chain
from offramp.run.eager import Eager
from tests.toys import CNN, TEXT, VIT, attached, graph_of, live, logits_of, untouched, whole


def shorter(inputs: Inputs, length: int) -> Inputs:
    """Texts cut to a length; what is cut off was padding or is lost."""
    assert isinstance(inputs, dict)
    return {name: tensor[:, :length] for name, tensor in inputs.items()}


@pytest.mark.parametrize("length", [2, 5, 9])
def test_texts_of_any_length_run_on_one_graph(length: int) -> None:
    model, inputs = live("text"), shorter(TEXT.inputs(5), length)
    executor = Eager.of(model, logits_of)
    assert graph_of("text").captured.sizes.allow(inputs)
    assert executor.chain_for(inputs) is executor.chain_for(TEXT.inputs(3))
    expected = whole(model.backbone.model, inputs)
    found = executor.drive(inputs, lambda _point, feature: torch.arange(0, len(feature), 2))
    rows = torch.arange(5)
    for _ in model.points:
        rows = rows[::2]
    torch.testing.assert_close(found, expected[rows], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 12), (11, 21)])
def test_pictures_of_another_size_get_segments_of_their_own(height: int, width: int) -> None:
    model = live("cnn")
    inputs = torch.randn(4, 3, height, width, generator=torch.Generator().manual_seed(2))
    executor = Eager.of(model, logits_of)
    assert not graph_of("cnn").captured.sizes.allow(inputs)
    with untouched(model.backbone.model):
        found = executor.drive(inputs, lambda _point, _feature: None)
    torch.testing.assert_close(found, whole(model.backbone.model, inputs), rtol=0, atol=0)
    assert executor.chain_for(inputs) is executor.chain_for(inputs[:1])
    assert executor.chain_for(inputs) is not executor.chain_for(CNN.inputs(2))


def test_a_size_that_the_model_refuses_is_named() -> None:
    executor = Eager.of(live("vit"), logits_of)
    with pytest.raises(DataError, match=r"got \(3, 16, 16\) float32.*resize or pad them"):
        executor.drive(torch.randn(2, 3, 16, 16), lambda _point, _feature: None)
    assert executor.drive(VIT.inputs(2), lambda _point, _feature: None) is not None


def test_a_feature_too_small_for_a_head_is_named() -> None:
    model = attached(CNN.model(), CNN.inputs(2), ("grid-linear",))
    with pytest.raises(DataError, match="give larger inputs"):
        model.head(0)(torch.randn(2, 8, 2, 2))


def test_only_so_many_sizes_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = live("cnn").backbone
    chains = Chains(backbone, [backbone.points[1].name], logits_of)
    captured: list[Inputs] = []

    def capture(inputs: Inputs) -> Chain:
        captured.append(inputs)
        return chains._first

    monkeypatch.setattr(chains, "_captured", capture)
    for side in [*range(4, 4 + REMEMBERED + 1), 4 + REMEMBERED, 4]:
        chains.fit_for(torch.zeros(1, 3, side, side + 1))
    assert len(captured) == REMEMBERED + 2
    assert len(chains._others) == REMEMBERED
