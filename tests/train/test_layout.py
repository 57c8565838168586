import torch
from torch import nn
from torch.nn import functional as F

from offramp.heads import head_type
from offramp.model.backbone import Backbone
from offramp.model.multi_exit import MultiExit
from offramp.reading import reader
from offramp.tasks.classification import Classification
from offramp.testing.models import CNN, TEXT, VIT, attached
from offramp.testing.untouched import untouched
from offramp.train.exiting import Exiting
from offramp.train.layout import layout_of
from offramp.train.parts import ALL, HEADS, Kinds, Piece, UpTo
from offramp.types import Exit, ExitPoint


class Odd(nn.Module):
    """A tied weight, a norm without weights, a bare parameter, an unused layer, and dropout that belongs to nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.norm1 = nn.BatchNorm1d(4, affine=False)
        self.tied = nn.Linear(4, 4)
        self.tied.weight = self.first.weight
        self.norm2 = nn.BatchNorm1d(4, affine=False)
        self.drop = nn.Dropout(0.5)
        self.shift = nn.Parameter(torch.zeros(4))
        self.unused = nn.Linear(2, 2)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.norm1(self.first(x)))
        x = F.relu_(self.norm2(self.tied(x)) + self.shift)
        logits: torch.Tensor = self.fc(self.drop(x))
        return logits


def odd() -> tuple[Exiting, torch.Tensor]:
    model, x = Odd(), torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
    points = (ExitPoint("norm1", 0, (4,), 0.3), ExitPoint("norm2", 1, (4,), 0.8))
    generator = torch.Generator().manual_seed(1)
    heads = nn.ModuleList([head_type("pooled-mlp").build((4,), 3, generator) for _ in points])
    exits = tuple(Exit(point.name, "pooled-mlp") for point in points)
    backbone = Backbone(model, x, points, 3, 44.0, None)
    return Exiting(MultiExit(backbone, exits, heads), reader(Classification())), x


def test_parameters_belong_to_the_first_exit_that_depends_on_them() -> None:
    network, x = odd()
    found = layout_of(network, x).parameters
    of_model = {name.removeprefix("model."): piece for name, piece in found.items() if name.startswith("model.")}
    assert of_model == {
        "first.weight": Piece("backbone", 0),
        "first.bias": Piece("backbone", 0),
        "tied.bias": Piece("backbone", 1),
        "shift": Piece("backbone", 2),
        "unused.weight": Piece("backbone", 2),
        "unused.bias": Piece("backbone", 2),
        "fc.weight": Piece("final", 2),
        "fc.bias": Piece("final", 2),
    }
    assert {piece for name, piece in found.items() if name.startswith("heads.1")} == {Piece("head", 1)}


def training(network: Exiting) -> set[str]:
    return {name for name, module in network.model.named_modules() if module.training}


def test_modes_follow_what_learns() -> None:
    """Norms and dropout without parameters go by where they are called."""
    network, x = odd()
    layout = layout_of(network, x)
    layout.apply(UpTo(0), network)
    assert training(network) == {"first", "norm1", "tied"}  # tied holds the weight that learns
    layout.apply(UpTo(1, after=0), network)
    assert training(network) == {"norm2", "tied"}
    layout.apply(UpTo(2, after=1), network)
    assert training(network) == {"", "drop", "fc", "unused"}
    layout.apply(Kinds(final=True), network)
    assert training(network) == {"fc"}
    layout.apply(HEADS, network)
    assert training(network) == set()
    assert all(module.training for module in network.heads.modules())
    assert {name.split(".")[0] for name, p in network.named_parameters() if p.requires_grad} == {"heads"}
    assert len(layout.apply(ALL, network)) == len(list(network.parameters()))
    assert all(module.training for module in network.modules())


def test_the_first_stage_that_learns() -> None:
    network, x = odd()
    layout = layout_of(network, x)
    found = [layout.first_stage(part) for part in (ALL, HEADS, Kinds(final=True), UpTo(2, after=0), UpTo(9, after=1))]
    assert found == [0, None, None, 1, 2]


def test_a_residual_network_and_transformers() -> None:
    multi_exit = attached(CNN.model(), CNN.inputs(2))
    with untouched(multi_exit.backbone.model):
        found = layout_of(Exiting(multi_exit, reader(Classification())), multi_exit.backbone.example)
    assert [point.name for point in multi_exit.points] == ["bn", "layer1.0", "layer1.1", "layer2.0"]
    stages = {"conv": 0, "bn": 0, "layer1.0": 1, "layer1.1": 2, "layer2.0": 3, "layer2.1": 4, "fc": 4}
    for path, stage in stages.items():
        pieces = {piece for name, piece in found.parameters.items() if name.startswith(f"model.{path}.")}
        assert pieces == {Piece("final" if path == "fc" else "backbone", stage)}
    assert found.modules["model.dropout"] == {Piece("backbone", 4)}
    for toy in (VIT, TEXT):
        multi_exit = attached(toy.model(), toy.inputs(2))
        layout = layout_of(Exiting(multi_exit, reader(Classification())), multi_exit.backbone.example).parameters
        assert {name for name, piece in layout.items() if piece.kind == "final"} == {
            "model.head.weight",
            "model.head.bias",
        }


def test_the_forward_stops_behind_the_deepest_exit_wanted() -> None:
    network, x = odd()
    network.eval()
    ran: list[str] = []
    for name, module in network.model.named_modules():
        module.register_forward_pre_hook(lambda _module, _args, name=name: ran.append(name))
    said = network(x, (0,))
    assert set(said) == {0}
    assert ran == ["", "first", "norm1"]
    ran.clear()
    everything = network(x, range(3))
    torch.testing.assert_close(everything[0], said[0], rtol=0, atol=0)
    assert ran[-1] == "fc"
