"""The heads of a bundle: built from the manifest, filled from the tensors."""

from collections.abc import Mapping

import torch
from torch import nn

from offramp.entries import example_inputs, head_of
from offramp.errors import BundleError, InputError
from offramp.heads.head import Head
from offramp.inputs import tokens_of
from offramp.manifest import ExitEntry, Manifest
from offramp.model.backbone import Backbone
from offramp.model.pruned import pruned_head
from offramp.model.small import small_head
from offramp.network_entries import NetworkEntry, SmallEntry
from offramp.reading import LogitsOf
from offramp.refilled import refilled

Tensors = Mapping[str, torch.Tensor]


def small_entry_of(manifest: Manifest) -> SmallEntry | None:
    """The small model that answers first, where there is one."""
    found = (exit_.network for exit_ in manifest.exits)
    return next((entry for entry in found if isinstance(entry, SmallEntry)), None)


def small_weights_of(manifest: Manifest, tensors: Tensors) -> dict[str, torch.Tensor]:
    """The weights of the small model, under its own names; empty where there is none."""
    small = small_entry_of(manifest)
    if small is None:
        return {}
    index = [exit_.network for exit_ in manifest.exits].index(small)
    prefix = f"{index}.reduction.network." + "network." * bool(small.scale)
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def made_heads(
    manifest: Manifest,
    tensors: Tensors,
    backbone: tuple[Backbone, LogitsOf] | None = None,
    small: nn.Module | None = None,
) -> nn.ModuleList:
    """The heads in eval mode; networks only where there is a backbone, and a small model where the manifest has one.

    Raises:
        BundleError: if the tensors do not fit the manifest.
        ForeignBackboneError: if `small` is another model than that of the build.
    """
    built, given = nn.ModuleList(), dict(tensors)
    points = manifest.points if backbone is None else backbone[0].points
    shapes = {point.name: tuple(point.feature_shape) for point in points}
    nowhere, tokens = torch.Generator(), tokens_of(example_inputs(manifest.inputs))
    try:
        for index, entry in enumerate(manifest.exits):
            if entry.network is None:
                shape, classes = shapes[entry.point], manifest.model.classes
                built.append(head_of(entry).build(shape, classes, nowhere, tokens, index))
            elif backbone is not None:
                built.append(_network(entry, *backbone, small, small_weights_of(manifest, tensors)))
            else:
                built.append(nn.Identity())
                given = {name: value for name, value in given.items() if not name.startswith(f"{index}.")}
        built.load_state_dict(given)
    except RuntimeError as error:
        raise BundleError(f"the heads do not fit the manifest: {str(error).splitlines()[-1].strip()}") from error
    return built.eval()


def _network(
    exit_: ExitEntry, backbone: Backbone, logits_of: LogitsOf, small: nn.Module | None, weights: Tensors
) -> Head:
    entry = exit_.network
    if isinstance(entry, NetworkEntry):
        try:
            return pruned_head(backbone, entry.left_out, logits_of, exit_.point)
        except InputError as error:  # blocks are told apart otherwise than when it was built
            raise BundleError(
                f"the student at {exit_.point} cannot be made again: {error}; build a new bundle"
            ) from error
    assert small is not None
    assert entry is not None
    affine = (entry.scale, entry.shift) if entry.scale else None
    return small_head(refilled(small, entry, dict(weights)), backbone, logits_of, affine)
