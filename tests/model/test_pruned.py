import copy
from collections.abc import Sequence

import pytest
import torch
from torch import nn

from offramp.errors import CaptureError, InputError
from offramp.inputs import call
from offramp.model.backbone import Backbone
from offramp.model.behind import Behind
from offramp.model.by_hooks import by_hooks
from offramp.model.macs import network_macs
from offramp.model.modes import frozen
from offramp.model.points import analyse
from offramp.model.pruned import Pruned, droppable, spared
from offramp.testing.untouched import untouched
from tests.toys import CNN, NAMES, live, logits_of

WITH_SIDE_VALUES = [name for name in sorted(NAMES) if all(p.side_values for p in live(name).backbone.points)]


def backbone_of(blocks: tuple[int, ...] = (4, 3)) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Staged(blocks).eval()


class Block(nn.Module):
    """A residual block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = torch.relu(x + self.bn(self.conv(x)))
        return found


class Staged(nn.Module):
    """Stages of equal blocks, each behind a convolution that halves the map and doubles the channels."""

    def __init__(self, blocks: tuple[int, ...]) -> None:
        super().__init__()
        self.downs = nn.ModuleList(nn.Conv2d(3 if i == 0 else 4 * 2**i, 8 * 2**i, 2, 2) for i in range(len(blocks)))
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(8 * 2**i) for _ in range(count))) for i, count in enumerate(blocks)
        )
        self.fc = nn.Linear(4 * 2 ** len(blocks), 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for down, stage in zip(self.downs, self.stages, strict=True):
            x = stage(down(x))
        logits: torch.Tensor = self.fc(x.mean((2, 3)))
        return logits


def without(model: nn.Module, stage: int, *blocks: int) -> nn.Module:
    """The same model with some of a stage's blocks taken out by hand."""
    found = copy.deepcopy(model)
    stages = found.get_submodule("stages")
    kept = [block for index, block in enumerate(stages.get_submodule(str(stage)).children()) if index not in blocks]
    stages.add_module(str(stage), nn.Sequential(*kept))
    return found


IMAGES = torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", sorted(NAMES))
def test_with_nothing_left_out_it_is_the_backbone(name: str) -> None:
    backbone, inputs = live(name).backbone, NAMES[name].inputs(7)
    with frozen(backbone.model), torch.no_grad():
        expected = logits_of(call(backbone.model, inputs))
        torch.testing.assert_close(call(Pruned(backbone, ()), inputs), expected)


@pytest.mark.parametrize(("stage", "blocks"), [(0, (1,)), (0, (0, 3)), (1, (2,)), (1, (0, 1, 2))])
def test_what_is_left_is_the_model_without_these_blocks(stage: int, blocks: tuple[int, ...]) -> None:
    model = backbone_of()
    backbone = analyse(model, IMAGES[:2], logits_of)
    spans = droppable(backbone)
    assert len(spans) == 7
    chosen = [spans[4 * stage + block] for block in blocks]
    with torch.no_grad():
        torch.testing.assert_close(Pruned(backbone, chosen)(IMAGES), without(model, stage, *blocks)(IMAGES))


def test_in_training_batch_norms_use_and_update_the_statistics_of_the_batch() -> None:
    model = backbone_of()
    backbone = analyse(model, IMAGES[:2], logits_of)
    found, expected = Pruned(backbone, [droppable(backbone)[1]]), without(model, 0, 1)
    found.train()
    expected.train()
    torch.testing.assert_close(found(IMAGES), expected(IMAGES))
    found.eval()
    expected.eval()
    torch.testing.assert_close(found(IMAGES), expected(IMAGES))


def test_training_it_leaves_the_backbone_alone() -> None:
    model = backbone_of()
    backbone = analyse(model, IMAGES[:2], logits_of)
    with untouched(model):
        made = Pruned(backbone, spared(backbone, 0.6)).train()
        optimizer = torch.optim.SGD(made.parameters(), 0.1)
        made(IMAGES).square().sum().backward()
        assert all(parameter.grad is not None for parameter in made.parameters())
        optimizer.step()
    assert not any(one is other for one in made.parameters() for other in model.parameters())


def test_it_comes_back_from_its_state() -> None:
    backbone = analyse(backbone_of(), IMAGES[:2], logits_of)
    spans = spared(backbone, 0.6)
    one, other = Pruned(backbone, spans), Pruned(backbone, spans)
    with torch.no_grad():
        for parameter in one.parameters():
            parameter.add_(0.1)
    other.load_state_dict(one.state_dict())
    torch.testing.assert_close(other(IMAGES), one(IMAGES), rtol=0, atol=0)
    assert len(one.state_dict()) < len(backbone.model.state_dict())


@pytest.mark.parametrize("share", [0.35, 0.5, 0.8, 1.0])
def test_it_costs_at_most_the_share_and_another_block_would_cost_more(share: float) -> None:
    backbone = analyse(backbone_of(), IMAGES[:2], logits_of)
    spans = spared(backbone, share)
    cost = _cost(backbone, spans)
    assert cost <= share + 1e-9
    dearest = max(1 - _cost(backbone, [span]) for span in droppable(backbone))
    assert not spans or cost + dearest > share


def _cost(backbone: Backbone, spans: Sequence[tuple[str, str]]) -> float:
    return network_macs(Pruned(backbone, spans), IMAGES[:2], logits_of) / backbone.macs


def test_where_few_blocks_are_within_the_share_as_many_are_kept_as_asked_for() -> None:
    """Each of a text model's four layers costs a quarter; two are the first and the last."""
    backbone = live("text").backbone
    spans = droppable(backbone)
    assert len(spans) == 4
    assert spared(backbone, 0.2) == spans
    assert spared(backbone, 0.2, blocks=2, most=0.55) == spans[1:3]
    for blocks, most in ((2, 0.4), (1, 0.55)):
        assert spared(backbone, 0.2, blocks=blocks, most=most) == spans[:3]
    with pytest.raises(InputError, match=r"expected a share of at least 0\.\d\d, which cannot be left out, got 0.02"):
        spared(analyse(backbone_of(), IMAGES[:2], logits_of), 0.01, blocks=2, most=0.02)


def test_more_blocks_than_asked_for_are_kept_where_the_share_allows() -> None:
    backbone = analyse(backbone_of(), IMAGES[:2], logits_of)
    assert spared(backbone, 0.8, blocks=2, most=0.9) == spared(backbone, 0.8)


def test_two_blocks_a_stage_are_the_first_and_the_last() -> None:
    """Those that hold the stage's ends, as the reference student has them."""
    backbone = analyse(backbone_of((5, 4)), IMAGES[:2], logits_of)
    spans = droppable(backbone)
    two_each = 1 - sum(1 - _cost(backbone, [span]) for span in (*spans[1:4], *spans[6:8]))
    left = set(spans) - set(spared(backbone, two_each + 1e-6))
    assert left == {spans[0], spans[4], spans[5], spans[8]}


def test_what_cannot_be_left_out_is_refused() -> None:
    backbone = analyse(backbone_of(), IMAGES[:2], logits_of)
    with pytest.raises(InputError, match="expected blocks that can be left out"):
        Pruned(backbone, [("downs.0", "downs.1")])
    with pytest.raises(InputError, match=r"expected a share of at least 0\.\d\d, which cannot be left out, got 0.01"):
        spared(backbone, 0.01)
    with pytest.raises(CaptureError, match="expected a captured model to leave blocks out of, got ResidualCNN"):
        droppable(by_hooks(CNN.model(), CNN.inputs(2), logits_of))


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_branch_with_nothing_left_out_is_the_rest_of_the_backbone(name: str) -> None:
    backbone, inputs = live(name).backbone, NAMES[name].inputs(7)
    starts = [point.name for point in backbone.points if not point.side_values]
    assert starts or name in WITH_SIDE_VALUES
    with frozen(backbone.model), torch.no_grad():
        expected = logits_of(call(backbone.model, inputs))
        for start in starts:
            torch.testing.assert_close(call(Behind(backbone, Pruned(backbone, (), start)), inputs), expected)


@pytest.mark.parametrize(("start", "stage", "blocks"), [("stages.0.1", 0, (2,)), ("stages.0.1", 1, (0, 1, 2))])
def test_a_branch_leaves_out_blocks_of_the_rest_alone(start: str, stage: int, blocks: tuple[int, ...]) -> None:
    model = backbone_of()
    backbone = analyse(model, IMAGES[:2], logits_of)
    by_end = {after: (before, after) for before, after in droppable(backbone, start)}
    assert len(by_end) == 5
    chosen = [by_end[f"stages.{stage}.{block}"] for block in blocks]
    behind = Behind(backbone, Pruned(backbone, chosen, start))
    with torch.no_grad():
        torch.testing.assert_close(behind(IMAGES), without(model, stage, *blocks)(IMAGES))


def test_teaching_a_branch_changes_nothing_before_it() -> None:
    model = backbone_of()
    backbone = analyse(model, IMAGES[:2], logits_of)
    with untouched(model):
        behind = Behind(backbone, Pruned(backbone, spared(backbone, 0.4, "stages.0.1"), "stages.0.1")).train()
        behind(IMAGES).square().sum().backward()
        torch.optim.SGD(behind.parameters(), 0.1).step()
    assert all(parameter.grad is not None for parameter in behind.parameters())


def test_blocks_before_a_branch_count_as_kept() -> None:
    """Of four and three blocks, two are done: with room for one more it is one of the second stage."""
    backbone = analyse(backbone_of(), IMAGES[:2], logits_of)
    start, spans = "stages.0.1", droppable(backbone, "stages.0.1")
    least = network_macs(Pruned(backbone, spans, start), _feature(backbone, start), logits_of)
    second = network_macs(Pruned(backbone, spans[:-1], start), _feature(backbone, start), logits_of)
    assert spared(backbone, least / backbone.macs, start) == spans
    assert spared(backbone, second / backbone.macs, start) == spans[:-1]


def _feature(backbone: Backbone, start: str) -> torch.Tensor:
    return torch.zeros(2, *backbone.point(start).feature_shape)


def test_a_branch_needs_a_place_where_one_tensor_is_enough() -> None:
    for name in WITH_SIDE_VALUES:
        backbone = live(name).backbone
        start = next(point.name for point in backbone.points if point.side_values)
        with pytest.raises(InputError, match=f"expected an exit point behind which one tensor is enough, got {start}"):
            Pruned(backbone, (), start)
