import pytest
import torch
from torch import nn

from offramp.model.capture import capture, within
from offramp.model.liveness import Kind, cuts, kinds
from tests.toys import NAMES, graph_of, logits_of


@pytest.mark.parametrize("name", sorted(NAMES))
def test_what_is_computed_after_a_cut_needs_nothing_else_from_before(name: str) -> None:
    """The definition, node by node: no data flows past a cut but through the cut itself and its side values."""
    captured = graph_of(name).captured
    nodes = list(captured.graph_module.graph.nodes)
    kind, position = kinds(captured), {node: index for index, node in enumerate(nodes)}
    needed = {captured.logits}
    for node in reversed(nodes):
        if node in needed:
            needed.update(source for source in node.all_input_nodes if kind[source] in (Kind.SIDE, Kind.HIDDEN))
    found = cuts(captured)
    assert found
    for cut in found:
        allowed = {cut.node, *cut.side}
        after = [node for node in needed if position[node] > position[cut.node] and node.op == "call_function"]
        for node in after:
            for source in node.all_input_nodes:
                if kind[source] in (Kind.SIDE, Kind.HIDDEN) and position[source] <= position[cut.node]:
                    assert source in allowed


def test_a_cut_inside_a_residual_block_carries_the_shortcut() -> None:
    captured = graph_of("cnn").captured
    inside = {"conv1", "bn1", "conv2", "bn2", "shortcut"}
    carried: dict[bool, set[int]] = {True: set(), False: set()}
    for cut in cuts(captured):
        paths = [path for path, _ in cut.node.meta["nn_module_stack"].values()]
        carried[any(path.rsplit(".", 1)[-1] in inside for path in paths)].add(cut.carried)
    assert carried[True] == {1}
    assert 0 in carried[False]


def test_the_first_features_are_carried_while_the_cross_layers_need_them() -> None:
    captured = graph_of("clicks").captured
    carried = {within([*cut.node.meta["nn_module_stack"].values()][-1][0]): cut.carried for cut in cuts(captured)}
    assert all(number > 0 for path, number in carried.items() if path.startswith("cross.0"))
    assert all(number == 0 for path, number in carried.items() if path.startswith("deep"))
    assert {path.partition(".")[0] for path in carried} >= {"cross", "deep"}


def test_kinds_of_a_mask_a_class_token_and_a_position() -> None:
    text, vit = (graph_of(name).captured for name in ("text", "vit"))
    of_text = {text.name_of(node): kind for node, kind in kinds(text).items()}
    assert of_text["attention_mask"] is of_text["mul"] is Kind.SIDE
    assert of_text["arange"] is Kind.SHAPE  # as long as the text, which may be of any length
    assert of_text["embedding"] is Kind.HIDDEN
    of_vit = kinds(vit)
    assert {of_vit[node] for node in of_vit if node.name.startswith("expand")} <= {Kind.WEIGHT, Kind.SHAPE}
    assert all(cut.side == () for cut in cuts(vit) if cut.carried == 0)
    assert {side.name for cut in cuts(text) for side in cut.side} >= {"mul"}


class Sum(nn.Module):
    """The first axis of what lies between is not the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        turned = torch.sin(self.one(x).t())
        logits: torch.Tensor = self.two(turned.t())
        return logits


def test_a_tensor_whose_first_axis_is_not_the_batch_is_no_cut() -> None:
    captured = capture(Sum().eval(), torch.randn(2, 4), logits_of)
    assert [cut.node.name for cut in cuts(captured)] == ["linear", "t_1"]


class Placed(nn.Module):
    """Numbers along a line, each weighed by a table of places: a weight, although its size is that of the input."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Embedding(12, 6)
        self.one, self.two = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        placed = x.unsqueeze(2) * self.place(torch.arange(x.shape[1]))
        logits: torch.Tensor = self.two(self.one(placed).relu().mean(1))
        return logits


@pytest.mark.parametrize("free", [False, True])
def test_what_meets_a_table_of_places_is_hidden(free: bool) -> None:
    captured = capture(Placed().eval(), torch.randn(2, 9), logits_of, free)
    kind = {node.name: kind for node, kind in kinds(captured).items()}
    assert kind["unsqueeze"] is Kind.SIDE
    assert kind["mul"] is Kind.HIDDEN
