"""A small model that answers before the backbone: what its inputs are, and how a bundle finds it again."""

import tempfile
from pathlib import Path

import numpy as np
from safetensors.torch import save_file
from torch import nn

from offramp.bundle import Bundle
from offramp.errors import InputError
from offramp.heads.head import Head
from offramp.load.image_preprocess import ImagePreprocess
from offramp.load.models import LoadedModel, load_model
from offramp.load.preprocess import Preprocess
from offramp.load.tokens import TokenPreprocess
from offramp.model.backbone import Backbone
from offramp.model.small import Affine, small_head
from offramp.reading import LogitsOf


def small_of(bundle: Bundle, spec: str | None = None) -> nn.Module | None:
    """The small model of a bundle, with the weights that the bundle keeps; None where it has none.

    Args:
        bundle: whose small model it is.
        spec: how it is loaded, as `load_model` takes it; a library model that the manifest names need not be named.

    Raises:
        InputError: if it must be named, or is and there is none, or is another model.
    """
    entry = bundle.small
    if entry is None:
        if spec is not None:
            raise InputError("expected no small model, since the bundle was built without one; leave --small out")
        return None
    if spec is None and (entry.spec is None or ".py:" in entry.spec):
        raise InputError(
            f"expected --small, since the small model {entry.spec or entry.type} of the bundle is the user's own code; "
            "name it"
        )
    with tempfile.TemporaryDirectory(prefix="offramp-") as folder:
        weights = Path(folder) / "small.safetensors"
        save_file(bundle.small_weights, weights)
        return load_model(spec or str(entry.spec), weights).model


def entry_of(small: LoadedModel, given: Preprocess | None, backbone: Backbone, logits_of: LogitsOf) -> Head:
    """A small model as a head at the input of a backbone whose inputs go through `given`; see `model.small.small_head`.

    Raises:
        InputError: if it does not take what the backbone takes.
    """
    return small_head(small.model, backbone, logits_of, renormalisation(small.preprocess, given))


def renormalisation(own: Preprocess | None, given: Preprocess | None) -> Affine | None:
    """What makes of the backbone's inputs those of a small model; None where they are the same, or one does not say.

    Of pictures another mean and std are made up for, exactly. They may be cut in another way (resize, crop,
    interpolation), which is not: both models see what the backbone's preprocessing cuts.

    Args:
        own: what the small model's inputs go through.
        given: what the backbone's do.

    Raises:
        InputError: if they differ in anything else.
    """
    if own is None or given is None or own.to_manifest() == given.to_manifest():
        return None
    if isinstance(own, ImagePreprocess) and isinstance(given, ImagePreprocess):
        mine, theirs = ((one.size, one.channels, one.scale) for one in (own, given))
        if mine == theirs:
            return _between(own, given)
        raise InputError(
            "expected a small model for inputs of the backbone's size, channels and scale, "
            f"{theirs}, got one for {mine}; choose another, or wrap it in a module without `preprocess`"
        )
    if isinstance(own, TokenPreprocess) and isinstance(given, TokenPreprocess):
        if own.tokenizer.get_vocab() == given.tokenizer.get_vocab():
            return None
        raise InputError(
            f"expected a small model with the backbone's tokens ({given.source}), got one with those of {own.source}; "
            "choose one that was trained with the same tokenizer"
        )
    raise InputError(
        f"expected a small model that is given what the backbone is, {given.to_manifest()}, got one for "
        f"{own.to_manifest()}; choose another, or wrap it in a module without `preprocess`"
    )


def _between(own: ImagePreprocess, given: ImagePreprocess) -> Affine | None:
    def column(values: tuple[float, ...] | None, default: float) -> np.ndarray:
        return np.broadcast_to(np.array((default,) if values is None else values), own.channels)

    std = column(own.std, 1.0)
    scale = column(given.std, 1.0) / std
    shift = (column(given.mean, 0.0) - column(own.mean, 0.0)) / std
    return None if (scale == 1.0).all() and (shift == 0.0).all() else (tuple(scale.tolist()), tuple(shift.tolist()))
