"""Detectors of torchvision, left on the way: what is found in the pictures that stay is what is found in them alone."""

from dataclasses import dataclass

import pytest
import torch
from benchmarks.detection.coco import read
from benchmarks.detection.one_size import Flat, Found, OneSize, presence
from benchmarks.detection.torchvision_detectors import MADE
from torch import nn

from offramp.errors import InputError
from offramp.inputs import leaves
from offramp.model.by_graph import by_graph
from offramp.model.by_hooks import by_hooks
from offramp.model.leaving import leaving
from tests.detection.conftest import ARCHIVE

SIDES = {"maskrcnn": 160, "fasterrcnn": 320, "ssdlite": 320}
KEPT = torch.tensor([0, 2])


@dataclass(frozen=True)
class Case:
    model: nn.Module
    one: OneSize
    images: torch.Tensor


def pictures(side: int) -> torch.Tensor:
    """Three real ones where they are present, else random ones."""
    if ARCHIVE.exists():
        return torch.from_numpy(read(ARCHIVE, (side, side), 3).pictures).permute(0, 3, 1, 2) / 255
    coarse = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    return nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)


@pytest.fixture(
    scope="module",
    params=["ssdlite", *(pytest.param(name, marks=pytest.mark.slow) for name in ("fasterrcnn", "maskrcnn"))],
)
def case(request: pytest.FixtureRequest) -> Case:
    model = MADE[request.param]()
    return Case(model, OneSize(model), pictures(SIDES[request.param]))


def alike(one: Found, other: Found) -> None:
    """Not bit for bit: kernels differ with the size of the batch."""
    assert len(one) == len(other)
    for left, right in zip(one, other, strict=True):
        assert left.keys() == right.keys()
        assert left["labels"].tolist() == right["labels"].tolist()
        for key in left:
            torch.testing.assert_close(left[key], right[key], atol=2e-3, rtol=1e-4)


@torch.no_grad()
def test_it_finds_what_the_detector_finds(case: Case) -> None:
    found, expected = case.one(case.images), case.model(list(case.images))
    side = case.images.shape[2]
    alike(found, [{**one, "boxes": one["boxes"] / side} for one in expected])
    assert all(len(one["boxes"]) == 10 for one in found)
    assert len({tuple(one["labels"].tolist()) for one in found}) == 3  # the pictures differ, and so do the answers


@torch.no_grad()
def test_pictures_can_be_dropped_after_any_layer(case: Case) -> None:
    alone = case.one(case.images[KEPT])
    names = [f"front.after.{key}" for key in case.one.front.after]
    assert len(names) in {17, 20, 32}
    for name in names[::4]:
        with leaving(case.one, [name], lambda _place, _feature: KEPT):
            alike(case.one(case.images), alone)


@torch.no_grad()
def test_pictures_can_be_dropped_twice_until_one_is_left(case: Case) -> None:
    names = [f"front.after.{key}" for key in case.one.front.after]
    alone, stays = case.one(case.images[2:]), [torch.tensor([1, 2]), torch.tensor([1])]
    with leaving(case.one, [names[3], names[-2]], lambda place, _feature: stays[place]):
        alike(case.one(case.images), alone)


@torch.no_grad()
def test_dropping_them_at_a_layer_alone_is_refused_once_more_is_alive(case: Case) -> None:
    """Where only the layer's own output is alive a hook on it does, later the features of earlier layers stay whole."""
    layers = case.one.front.layers
    first = next(index for index, name in enumerate(layers) if name in case.one.front.read)
    alone = case.one(case.images[KEPT])
    with leaving(case.one, [f"front.model.{layers[first]}"], lambda _place, _feature: KEPT):
        alike(case.one(case.images), alone)
    with (
        leaving(case.one, [f"front.model.{layers[first + 1]}"], lambda _place, _feature: KEPT),
        pytest.raises(InputError, match=r"got 2 and 3; drop them at after\."),
    ):
        case.one(case.images)


@torch.no_grad()
def test_a_captured_front_and_the_rest_as_it_is(case: Case) -> None:
    """The front as a chain of segments, between which pictures go, and torchvision's own code behind it."""
    side = case.images.shape[2]
    flat = Flat(case.one.front, (side, side))
    backbone = by_graph(flat, case.images, lambda output: output)
    plain = [point.name for point in backbone.points if not point.side_values]
    carried = [point.name for point in backbone.points if point.side_values]
    names = [plain[1], *(carried[-1:] or plain[-1:])]
    chain = backbone.chain(names)
    state = chain.segment(0, leaves(case.images))
    state = chain.segment(1, tuple(tensor[1:] for tensor in state))
    (features,) = chain.segment(2, tuple(tensor[1:] for tensor in state))
    alike(case.one.rest(flat.features(features), (side, side)), case.one(case.images[2:]))


@pytest.mark.slow
def test_the_backbone_alone_can_be_exported(case: Case) -> None:
    backbone: nn.Module = case.model.backbone  # type: ignore[assignment]
    program = torch.export.export(backbone, (case.images[:2],), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    with torch.no_grad():
        for count in (1, 2, 3):
            expected, found = backbone(case.images[:count]), program.module()(case.images[:count])
            assert list(found) == list(expected)
            for name in expected:
                torch.testing.assert_close(found[name], expected[name])


def test_hooks_find_the_places_after_layers(case: Case) -> None:
    """offramp's own search by hooks accepts them, with the best score of each class as the answer."""
    keys = list(case.one.front.after)
    names = [f"front.after.{key}" for key in keys[2::6]]
    backbone = by_hooks(case.one, case.images[:2], lambda found: presence(found, 91), names)
    assert [point.name for point in backbone.points] == names
    assert backbone.classes == 91


def test_the_best_score_of_each_class_by_hand() -> None:
    found = [
        {"labels": torch.tensor([2, 0, 2]), "scores": torch.tensor([0.5, 0.4, 0.7])},
        {"labels": torch.zeros(0, dtype=torch.int64), "scores": torch.zeros(0)},
    ]
    expected = torch.tensor([[0.4, 0.0, 0.7], [0.0, 0.0, 0.0]])
    assert presence(found, 3).equal(expected)


def test_weights_follow_from_the_seed_alone() -> None:
    before = torch.get_rng_state()
    one, again = MADE["ssdlite"](), MADE["ssdlite"]()
    assert torch.get_rng_state().equal(before)
    for name, value in one.state_dict().items():
        assert again.state_dict()[name].equal(value), name
