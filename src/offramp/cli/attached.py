"""A bundle with its backbone and data, as evaluate and run need them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import typer
from torch import nn

from offramp.bundle import Bundle
from offramp.errors import InputError
from offramp.load.models import LoadedModel, load_model
from offramp.load.portable import tokeniser_of
from offramp.load.preprocess import Preprocess, preprocess_from_manifest
from offramp.load.small import small_of
from offramp.load.sources import open_source
from offramp.load.trial import check_taken
from offramp.manifest import ModelEntry
from offramp.sources import Source
from offramp.tokeniser import Tokeniser


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
    live, opening = prepared(folder, spec, weights, data, labels, device, small)
    return live, opening.source


@dataclass(frozen=True, eq=False)
class Opening:
    """Data as a command line names it, and what it goes through.

    Attributes:
        data: a path or `FILE.py:FACTORY`.
        preprocess: of pictures and texts.
        labels: a file of them.
        source: what was opened.
    """

    data: str
    preprocess: Preprocess | None
    labels: Path | None
    source: Source

    def anywhere(self) -> Callable[[], Source]:
        """Opens it in another process, which may be in another folder but sees the same files."""
        file, colon, factory = self.data.rpartition(":") if ".py:" in self.data else (self.data, "", "")
        where = str(Path(file).expanduser().resolve()) + colon + factory
        return partial(open_source, where, self.preprocess, labels=self.labels)


def prepared(
    folder: Path,
    spec: str | None,
    weights: Path | None,
    data: str,
    labels: Path | None = None,
    device: str = "cpu",
    small: str | None = None,
) -> tuple[Bundle, Opening]:
    """The same as `attached`, and how the data was opened."""
    bundle = Bundle.load(folder)
    loaded = loaded_for(bundle.manifest.model, spec, weights)
    preprocess: Preprocess | None = loaded.preprocess
    if bundle.manifest.preprocess is not None:
        preprocess = preprocess_from_manifest(bundle.manifest.preprocess, loaded.preprocess)
    source = open_source(data, preprocess, labels=labels)
    live = bundle.attach(_moved(loaded.model, device), small_of(bundle, small))
    assert live.multi_exit is not None
    check_taken(loaded.model, source.inputs(np.arange(1)), live.multi_exit.backbone.example, source.name)
    return live, Opening(data, preprocess, labels, source)


def tokeniser_for(bundle: Bundle, given: Preprocess | None, done: str) -> Tokeniser | None:
    """The tokenizer of a bundle that takes texts; where it is none that can be `done`, says so, and there is none."""
    try:
        return tokeniser_of(bundle.manifest, given)
    except InputError as error:
        typer.echo(f"token ids are {done}, and no texts: {error}", err=True)
        return None


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
