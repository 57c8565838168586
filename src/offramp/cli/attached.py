"""A bundle with its backbone and data, as evaluate and run need them."""

from pathlib import Path

import numpy as np
from torch import nn

from offramp.bundle import Bundle
from offramp.errors import InputError
from offramp.load.models import LoadedModel, load_model
from offramp.load.preprocess import Preprocess, preprocess_from_manifest
from offramp.load.small import small_of
from offramp.load.sources import open_source
from offramp.load.trial import check_taken
from offramp.manifest import ModelEntry
from offramp.sources import Source


def attached(
    folder: Path,
    spec: str | None,
    weights: Path | None,
    data: str,
    labels: Path | None = None,
    device: str = "cpu",
    small: str | None = None,
) -> tuple[Bundle, Source]:
    """The bundle on its backbone, and the data preprocessed as the bundle recorded it.

    A library model that the manifest names need not be named again; a file with code always must be, also that of a
    small model. The model is moved to the device.
    """
    bundle = Bundle.load(folder)
    loaded = loaded_for(bundle.manifest.model, spec, weights)
    preprocess: Preprocess | None = loaded.preprocess
    if bundle.manifest.preprocess is not None:
        preprocess = preprocess_from_manifest(bundle.manifest.preprocess, loaded.preprocess)
    source = open_source(data, preprocess, labels=labels)
    live = bundle.attach(_moved(loaded.model, device), small_of(bundle, small))
    assert live.multi_exit is not None
    check_taken(loaded.model, source.inputs(np.arange(1)), live.multi_exit.backbone.example, source.name)
    return live, source


def _moved(model: nn.Module, device: str) -> nn.Module:
    """The model on a device.

    Raises:
        InputError: if there is no such device.
    """
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:  # torch raises either
        reason = next(iter(str(error).splitlines()), "no reason given")
        raise InputError(
            f"expected a device that PyTorch can use, such as cpu or cuda, not {device!r}: {reason}"
        ) from error


def loaded_for(entry: ModelEntry, spec: str | None, weights: Path | None) -> LoadedModel:
    """The model, with the weights of the command line or else those of the build, where they still are."""
    if spec is None and (entry.spec is None or ".py:" in entry.spec):
        raise InputError(
            f"expected MODEL, since the bundle's {entry.spec or entry.type} is the user's own code; name it"
        )
    if weights is None and entry.weights is not None:
        weights = Path(entry.weights)
        if not weights.exists():
            raise InputError(f"expected the weights of the build in {str(weights)!r}, they are gone; give --weights")
    return load_model(spec or str(entry.spec), weights)
