"""A small model as a head at the input."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import nn

from offramp.errors import InputError
from offramp.heads.network import Answers
from offramp.inputs import whole_of
from offramp.model.backbone import Backbone
from offramp.model.by_graph import by_graph
from offramp.model.by_hooks import by_hooks
from offramp.model.multi_exit import MultiExit
from offramp.model.points import analyse
from offramp.model.pruned import Span, droppable, pruned_head
from offramp.model.small import Affine, small_head
from offramp.types import INPUT, Exit
from tests.toys import CLICKS, CNN, MLP, TEXT, Toy, live, logits_of, untouched, whole


def backbone(toy: Toy) -> Backbone:
    return live(toy.name).backbone


@pytest.mark.parametrize("toy", [CNN, TEXT, CLICKS], ids=lambda toy: toy.name)
def test_it_says_what_the_small_model_says_in_eval_mode_and_leaves_it_alone(toy: Toy) -> None:
    small = toy.model(seed=5).train()
    with untouched(small):
        head = small_head(small, backbone(toy), logits_of)
    assert not any(module.training for module in head.modules())
    assert not any(parameter.requires_grad for parameter in head.parameters())
    inputs = toy.inputs(7, 3)
    tensors = whole_of(inputs)
    torch.testing.assert_close(head(tensors), whole(toy.model(seed=5), inputs), rtol=0, atol=0)
    with torch.no_grad():
        next(small.parameters()).add_(1.0)
    torch.testing.assert_close(head(tensors), whole(toy.model(seed=5), inputs), rtol=0, atol=0)


@pytest.mark.parametrize("affine", [((2.0, 0.5, 3.0), (0.1, -0.2, 0.3)), ((2.0,), (-1.0,))], ids=["each", "all"])
def test_a_renormalised_network_sees_every_channel_scaled_and_shifted(affine: Affine) -> None:
    small, x = CNN.model(seed=5), CNN.inputs(6)
    assert isinstance(x, torch.Tensor)
    head, shown = small_head(small, backbone(CNN), logits_of, affine), x.clone()
    for channel in range(3):
        scale, shift = (values[channel % len(values)] for values in affine)
        shown[:, channel] = x[:, channel] * scale + shift
    torch.testing.assert_close(head(x), whole(small, shown))


class Wrong(nn.Module):
    """A network that cannot be a small model of the CNN toy."""

    def __init__(self, classes: int, flaw: str = "") -> None:
        super().__init__()
        self.linear, self.flaw = nn.Linear(432, classes), flaw

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.flaw == "raises":
            raise ValueError("no pictures today")
        if self.flaw == "in place":
            x.mul_(2.0)
        logits: torch.Tensor = self.linear(x.flatten(1))
        return logits if self.flaw != "maps" else logits[..., None]


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Wrong(4), r"the 5 classes of the backbone, Wrong gives logits of shape \(4,\)"),
        (Wrong(5, "raises"), r"\(3, 12, 12\) float32; Wrong raises ValueError: no pictures today; choose another"),
        (Wrong(5, "maps"), "Wrong raises CaptureError: expected logits of shape"),
        (Wrong(5, "in place"), "leaves its inputs as they are, Wrong changes them"),
        (MLP.model(), "raises"),
    ],
    ids=["classes", "raises", "maps", "in place", "other inputs"],
)
def test_a_network_that_does_not_fit_is_refused(network: nn.Module, message: str) -> None:
    before = backbone(CNN).example
    assert isinstance(before, torch.Tensor)
    before = before.clone()
    with pytest.raises(InputError, match=message):
        small_head(network, backbone(CNN), logits_of)
    torch.testing.assert_close(backbone(CNN).example, before, rtol=0, atol=0)


class Guarded(nn.Module):
    """A model that nobody may leave, and that cannot be captured."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(8, 8)
        self.fc = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if bool((x > 1e9).any()):
            raise ValueError("too large")
        logits: torch.Tensor = self.fc(self.inner(x) + x)
        return logits


def test_a_model_that_can_be_left_nowhere_can_have_one_in_front() -> None:
    model, x = Guarded().eval(), torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    found = analyse(model, x, logits_of, nowhere=True)
    assert (found.points, found.graph, found.classes, found.macs) == ((), None, 3, 8 * 8 + 8 * 3)
    head = small_head(nn.Linear(8, 3), found, logits_of)
    assert head(x).shape == (3, 3)


@pytest.mark.parametrize("route", [by_graph, by_hooks])
def test_at_another_size_it_costs_what_it_costs_there(route: Callable[..., Backbone]) -> None:
    small = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)).eval()
    head = small_head(small, backbone(CNN), logits_of)
    found = route(CNN.model(), torch.zeros(2, 3, 20, 24), logits_of, [INPUT])
    assert found.points == ()
    live = MultiExit(found, (Exit(INPUT, "small"),), nn.ModuleList([head]))
    assert live.macs().head.tolist() == [20 * 24 * 4 * 27 + 4 * 5, 0.0]


def test_so_does_a_branch() -> None:
    here, there = backbone(CNN), by_graph(CNN.model(), torch.zeros(2, 3, 20, 24), logits_of, ["bn"])
    left_out = droppable(here, "bn")[:1]
    head = pruned_head(here, left_out, logits_of, "bn")
    live = MultiExit(there, (Exit("bn", "student"),), nn.ModuleList([head]))
    assert isinstance(head.reduction, Answers)
    assert head.reduction.macs < live.macs().head[0]
    assert live.macs().head[0] == pytest.approx(pruned_macs(there, left_out))


def pruned_macs(backbone: Backbone, left_out: Sequence[Span]) -> float:
    """Of what lies behind `bn` without some blocks: what the points say of the places left in."""
    depth = {point.name: point.depth for point in analyse(backbone.model, backbone.example, logits_of).points}
    spared = sum(depth[after] - depth[before] for before, after in left_out)
    return backbone.macs * (1.0 - depth["bn"] - spared)
