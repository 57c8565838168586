"""torchvision's detectors for pictures of one size, such that any of them can be left behind on the way.

What a detector of torchvision does after its backbone (proposals, regions, suppression) follows the number of pictures
in the features. Between the layers of its backbone features of several layers are alive, since a pyramid or the heads
read them all: whoever drops a picture has to drop it from all of them. So after each layer they pass together through
a module, `after`, at whose output that can be done.
"""

import importlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from offramp.errors import InputError

State = tuple[torch.Tensor, ...]
"""What is alive between two layers: the latest feature, then those of earlier layers that are read later."""

Found = list[dict[str, torch.Tensor]]
"""For each picture boxes (xyxy as fractions of width and height), labels, scores, and masks where there are any."""


class Together(nn.Module):
    """Hands on what it gets; a hook here may return fewer pictures of everything."""

    def forward(self, state: State) -> State:
        """The same."""
        return state


class Front(nn.Module):
    """From pictures to the features that the rest of a detector reads.

    Attributes:
        model: the detector.
        after: for each layer of its backbone, by its path with `-` for `.`, where pictures can be dropped.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.layers = _layers(model)
        self.read = _read(model)
        self.after = nn.ModuleDict({_key(name): Together() for name in self.layers})
        transform: Any = model.transform
        self.mean, self.std = transform.image_mean, transform.image_std

    def forward(self, images: torch.Tensor) -> State:
        """Pictures (B, 3, H, W) from 0 to 1 to the features (B', ...), finest first; height and width as they are."""
        mean, std = (torch.tensor(values).to(images).reshape(1, 3, 1, 1) for values in (self.mean, self.std))
        state: State = ((images - mean) / std,)
        kept = False
        for name in self.layers:
            feature = self.model.get_submodule(name)(state[0])
            earlier = state if kept else state[1:]
            _check(name, feature, earlier)
            state, kept = self.after[_key(name)]((feature, *earlier)), name in self.read
        features = state[::-1]
        backbone: Any = self.model.backbone
        if hasattr(backbone, "fpn"):
            names = [str(level) for level in range(len(features))]
            return tuple(backbone.fpn(OrderedDict(zip(names, features, strict=True))).values())
        return features


class OneSize(nn.Module):
    """A detector for batches of pictures of one size, which it does not change."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.front = Front(model)

    def forward(self, images: torch.Tensor) -> Found:
        """What is found in each of the pictures (B, 3, H, W) from 0 to 1 that are left behind the backbone."""
        return self.rest(self.front(images), (images.shape[2], images.shape[3]))

    def rest(self, features: State, size: tuple[int, int]) -> Found:
        """What is found, from the features of the pictures that are left and the height and width of pictures."""
        model: Any = self.front.model
        sizes = [size] * len(features[0])
        images = _only_shapes(size, len(sizes))
        if hasattr(model, "rpn"):
            names = [str(level) for level in range(len(features) - 1)]
            named = OrderedDict(zip([*names, "pool"], features, strict=True))
            proposals, _ = model.rpn(images, named)
            found, _ = model.roi_heads(named, proposals, sizes)
        else:
            told = model.head(list(features))
            found = model.postprocess_detections(told, model.anchor_generator(images, list(features)), sizes)
        found = model.transform.postprocess(found, sizes, sizes)
        scale = features[0].new_tensor([size[1], size[0], size[1], size[0]])
        return [{**one, "boxes": one["boxes"] / scale} for one in found]


class Flat(nn.Module):
    """The front with one tensor for all features, since a captured model has one answer."""

    def __init__(self, front: Front, size: tuple[int, int]) -> None:
        super().__init__()
        self.front = front
        with torch.no_grad():
            self.shapes = [feature.shape[1:] for feature in front(torch.zeros(2, 3, *size))]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Pictures (B, 3, H, W) to all features in a row, (B, numbers)."""
        return torch.cat([feature.flatten(1) for feature in self.front(images)], 1)

    def features(self, flat: torch.Tensor) -> State:
        """The features themselves."""
        parts = torch.split(flat, [shape.numel() for shape in self.shapes], 1)
        return tuple(part.reshape(-1, *shape) for part, shape in zip(parts, self.shapes, strict=True))


def presence(found: Found, classes: int) -> torch.Tensor:
    """The best score of each class in each picture, (B, classes), 0 where nothing of it was found."""
    best = torch.zeros(len(found), classes)
    for row, one in zip(best, found, strict=True):
        row.scatter_reduce_(0, one["labels"], one["scores"], "amax")
    return best


def _layers(model: Any) -> list[str]:
    """The paths of what runs one after the other in the backbone, stages taken apart into their blocks."""
    backbone = model.backbone
    if hasattr(backbone, "body"):
        tops = [f"backbone.body.{name}" for name, _ in backbone.body.named_children()]
    else:
        tops = [f"backbone.{part}.{name}" for part in ("features", "extra") for name, _ in _children(backbone, part)]
    return [path for top in tops for path in _blocks(model, top)]


def _children(backbone: nn.Module, part: str) -> list[tuple[str, nn.Module]]:
    return list(backbone.get_submodule(part).named_children())


def _blocks(model: nn.Module, path: str) -> list[str]:
    module = model.get_submodule(path)
    if type(module) is not nn.Sequential:
        return [path]
    return [block for name, _ in module.named_children() for block in _blocks(model, f"{path}.{name}")]


def _read(model: Any) -> set[str]:
    """Of the paths in `_layers` those whose outputs are features."""
    backbone = model.backbone
    if hasattr(backbone, "body"):
        tops = [f"backbone.body.{name}" for name in backbone.body.return_layers]
    else:
        tops = [f"backbone.{part}.{name}" for part in ("features", "extra") for name, _ in _children(backbone, part)]
    return {_blocks(model, top)[-1] for top in tops}


def _key(path: str) -> str:
    return path.removeprefix("backbone.").replace(".", "-")


def _check(name: str, feature: torch.Tensor, earlier: Sequence[torch.Tensor]) -> None:
    count = feature.shape[0]  # not its len, which would fix the batch where this is captured
    if any(other.shape[0] != count for other in earlier):
        raise InputError(
            f"expected as many pictures from {name} as from the layers before, got {count} and "
            f"{earlier[0].shape[0]}; drop them at after.{_key(name)}, where all features pass"
        )


def _only_shapes(size: tuple[int, int], count: int) -> Any:
    """A list of images of that many pictures, of which nothing but the sizes is ever read."""
    made = importlib.import_module("torchvision.models.detection.image_list")
    return made.ImageList(torch.empty(count, 3, *size, device="meta"), [size] * count)
