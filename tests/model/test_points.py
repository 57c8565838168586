import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from offramp.errors import CaptureError, UnknownNameError
from offramp.inputs import select
from offramp.model.points import DEEPEST, analyse, find_exit_points, spread
from offramp.types import ExitPoint
from tests.toys import NAMES, Toy, live, logits_of, state_of, untouched

EXPECTED = {
    "mlp": ["2", "5", "8"],
    "cnn": ["bn", "layer1.0", "layer1.1", "layer2.0"],
    "vit": ["patches", "blocks.0", "blocks.1", "blocks.2"],
    "text": ["layers.0", "layers.1", "layers.2"],
    "clicks": ["deep.1", "deep.3", "deep.5"],
}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_points_of_the_toys(name: str) -> None:
    points = live(name).backbone.points
    assert [point.name for point in points] == EXPECTED[name]
    assert [point.index for point in points] == list(range(len(points)))
    depths = [point.depth for point in points]
    assert depths == sorted(set(depths))
    assert 0 < depths[0] <= depths[-1] <= DEEPEST
    assert all(bool(point.side_values) == (name == "text") for point in points)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_leaving_at_a_point_by_hook_and_by_segment_is_the_same(name: str) -> None:
    """An intervention: a hook that keeps some samples of the feature leaves the model with those samples."""
    toy: Toy = NAMES[name]
    model, inputs, staying = toy.model(), toy.inputs(5, 4), torch.tensor([3, 0])
    expected = _logits(model, select(inputs, staying))
    for point in analyse(model, toy.inputs(2), logits_of).points:
        if point.side_values or point.name == "patches":
            continue  # a hook reaches neither the mask nor the batch size that the class token is expanded to

        def keep(_module: nn.Module, _args: object, output: torch.Tensor) -> torch.Tensor:
            return output[staying]

        handle = dict(model.named_modules())[point.name].register_forward_hook(keep)
        found = _logits(model, inputs)
        handle.remove()
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def _logits(model: nn.Module, inputs: object) -> torch.Tensor:
    with torch.no_grad():
        return logits_of(model(**inputs) if isinstance(inputs, dict) else model(*_tuple(inputs)))


def _tuple(inputs: object) -> tuple[object, ...]:
    return inputs if isinstance(inputs, tuple) else (inputs,)


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize("training", [False, True])
def test_the_model_is_left_alone(name: str, training: bool) -> None:
    model = NAMES[name].model().train(training)
    with untouched(model):
        analyse(model, NAMES[name].inputs(2), logits_of)


def test_modes_of_single_modules_are_given_back() -> None:
    """A user may have frozen a batch norm in a model that trains."""
    model = NAMES["cnn"].model().train()
    model.get_submodule("layer1.0.bn1").eval()
    with untouched(model):
        analyse(model, NAMES["cnn"].inputs(2), logits_of)


def test_a_hook_of_the_users_that_raises_leaves_everything_as_it_was() -> None:
    model = NAMES["cnn"].model().train()

    def fail(*_: object) -> None:
        raise RuntimeError("the user's hook")

    model.get_submodule("layer2").register_forward_hook(fail)
    before = state_of(model)
    with pytest.raises(CaptureError, match="the user's hook"):
        analyse(model, NAMES["cnn"].inputs(2), logits_of)
    assert state_of(model)["hooks"] == before["hooks"]
    assert state_of(model)["modes"] == before["modes"]


class Woven(nn.Module):
    """Every layer reads the first features again: no single tensor is ever enough."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((4,), 2.0))
        self.first = nn.Linear(4, 4)
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
        self.last = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x * self.scale
        start = self.first(y)
        for layer in self.layers:
            y = torch.relu(layer(y)) * start
        logits: torch.Tensor = self.last(torch.cat([y, start], dim=1))
        return logits


def test_a_model_that_can_be_left_nowhere_is_refused() -> None:
    with pytest.raises(CaptureError, match="all that Woven still needs, found none"):
        find_exit_points(Woven().eval(), torch.randn(2, 4))


class Replaced(nn.Module):
    """What leaves the module is not what the model goes on with."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.last = Doubled(), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _, kept = self.one(x)
        logits: torch.Tensor = self.last(torch.relu(self.two(torch.relu(kept))))
        return logits


class Doubled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 6)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = self.layer(x)
        return torch.zeros_like(y), y * 2.0


def test_points_where_a_hook_sees_another_tensor_are_not_offered() -> None:
    names = [point.name for point in find_exit_points(Replaced().eval(), torch.randn(2, 4))]
    assert names == ["two"]


def test_an_unknown_point_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"layer1.0, layer1.1, layer2.0; got 'layer9'"):
        live("cnn").backbone.point("layer9")


@given(st.lists(st.floats(0.01, 0.98), min_size=1, max_size=30, unique=True), st.integers(1, 12))
def test_spread_points_are_some_of_the_points_in_order(depths: list[float], most: int) -> None:
    points = [ExitPoint(str(i), i, (8,), depth) for i, depth in enumerate(sorted(depths))]
    chosen = spread(points, most)
    assert 1 <= len(chosen) <= most
    assert list(chosen) == [point for point in points if point in chosen]
    if len(points) <= most:
        assert list(chosen) == points


def test_of_equally_near_points_the_smaller_feature_is_taken() -> None:
    points = [ExitPoint("big", 0, (64,), 0.4), ExitPoint("small", 1, (8,), 0.6)]
    assert [point.name for point in spread(points, 1)] == ["small"]
