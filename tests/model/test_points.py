import pytest
import torch
from torch import nn

from offramp.errors import CaptureError, UnknownNameError
from offramp.inputs import select
from offramp.model.backbone import DEEPEST
from offramp.model.points import analyse, find_exit_points
from tests.toys import NAMES, Toy, attached, live, logits_of, state_of, untouched

EXPECTED = {
    "mlp": ["2", "5", "8"],
    "cnn": ["bn", "layer1.0", "layer1.1", "layer2.0"],
    "vit": ["patches", "blocks.0", "blocks.1", "blocks.2"],
    "text": ["word", "layers.0", "layers.1", "layers.2"],
    "clicks": ["cross.0", "cross.1", "deep.1", "deep.3", "deep.5"],
}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_points_of_the_toys(name: str) -> None:
    points = live(name).backbone.points
    assert [point.name for point in points] == EXPECTED[name]
    assert [point.index for point in points] == list(range(len(points)))
    depths = [point.depth for point in points]
    assert depths == sorted(set(depths))
    assert (0 if name == "text" else 1e-3) <= depths[0] <= depths[-1] <= DEEPEST  # a look into a table is free
    carrying = {"text": EXPECTED["text"], "clicks": ["cross.0", "cross.1"]}.get(name, [])
    assert [point.name for point in points if point.side_values] == carrying


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
    """The last layer reads what all others have made: so many tensors are never carried along."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(layers))
        self.last = nn.Linear(4 * layers, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made = [layer(x) for layer in self.layers]
        logits: torch.Tensor = self.last(torch.cat(made, dim=1))
        return logits


def test_a_model_that_can_be_left_nowhere_is_refused_with_both_reasons() -> None:
    with pytest.raises(
        CaptureError, match=r"cannot capture Deaf: .*Nor by hooks: no module of Deaf .*as an nn.Sequential of modules"
    ):
        find_exit_points(Deaf().eval(), torch.randn(2, 4))


class Deaf(nn.Module):
    """Decides by the values of its inputs, and reads them all again at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = torch.relu(self.one(x))
        if float(x.sum()) > 1e6:
            features = features * 2
        logits: torch.Tensor = self.two(features) + x.sum()
        return logits


def test_a_few_tensors_are_carried_where_one_is_not_enough() -> None:
    points = find_exit_points(Woven(4).eval(), torch.randn(2, 4))
    assert [(point.name, len(point.side_values)) for point in points] == [
        ("layers.0", 1),
        ("layers.1", 2),
        ("layers.2", 3),
        ("layers.3", 3),
    ]


class Twice(nn.Module):
    """One block that is called three times."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 3)
        self.block = nn.Sequential(nn.Linear(8, 8), nn.Tanh())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        for _ in range(3):
            x = self.block(x)
        logits: torch.Tensor = self.last(x)
        return logits


def test_every_call_of_a_shared_block_is_a_point_of_its_own() -> None:
    model, inputs = Twice().eval(), torch.randn(5, 4)
    live = attached(model, inputs)
    assert [point.name for point in live.points] == ["first", "block.1", "block.1@1", "block.1@2"]
    with untouched(model), torch.no_grad():
        outputs = live.outputs(inputs, logits_of)
        feature = model.block(model.block(model.first(inputs)))
        torch.testing.assert_close(outputs[2], live.heads[2](feature), rtol=0, atol=0)
        again = live.outputs(inputs, logits_of)
    torch.testing.assert_close(again, outputs, rtol=0, atol=0)


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


class Table(nn.Module):
    """An embedding; what else enters, and where, differs."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.extra = nn.Embedding(20, 8), nn.Linear(3, 8)
        self.one, self.two, self.last = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 4)

    def think(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.last(self.two(self.one(x).relu()).relu())
        return logits


class Masked(Table):
    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        weight = mask.float().unsqueeze(2)
        return self.think((self.words(ids) * weight).sum(1) / weight.sum(1))


class Beside(Table):
    def forward(self, ids: torch.Tensor, user: torch.Tensor) -> torch.Tensor:
        return self.think(self.words(ids).mean(1) + nn.functional.pad(user, (0, 5)))


class Later(Table):
    def forward(self, ids: torch.Tensor, user: torch.Tensor) -> torch.Tensor:
        return self.think(self.words(ids).mean(1) + self.extra(user))


@pytest.mark.parametrize(("kind", "free"), [(Masked, True), (Beside, False), (Later, False)])
def test_a_point_that_costs_nothing_has_seen_all_inputs_but_masks(kind: type[Table], free: bool) -> None:
    ids = torch.randint(0, 20, (2, 6), generator=torch.Generator().manual_seed(0))
    other = torch.ones(2, 6, dtype=torch.long) if free else torch.randn(2, 3)
    points = find_exit_points(kind().eval(), (ids, other))
    assert ("words" in [point.name for point in points if point.depth == 0]) is free
    assert not any(point.depth == 0 for point in points if point.name != "words")
