"""A bundle with its backbone and data, as evaluate and run need them."""

from pathlib import Path

from offramp.bundle import Bundle
from offramp.errors import InputError
from offramp.load.models import load_model
from offramp.load.preprocess import Preprocess, preprocess_from_manifest
from offramp.load.sources import open_source
from offramp.sources import Source


def attached(
    folder: Path,
    spec: str | None,
    weights: Path | None,
    data: str,
    labels: Path | None = None,
) -> tuple[Bundle, Source]:
    """The bundle on its backbone, and the data preprocessed as the bundle recorded it.

    A library model that the manifest names need not be named again; a file with code always must be.
    """
    bundle = Bundle.load(folder)
    entry = bundle.manifest.model
    if spec is None and (entry.spec is None or ".py:" in entry.spec):
        raise InputError(
            f"expected MODEL, since the bundle's {entry.spec or entry.type} is the user's own code; name it"
        )
    given = weights or (Path(entry.weights) if entry.weights and Path(entry.weights).exists() else None)
    loaded = load_model(spec or str(entry.spec), given)
    preprocess: Preprocess | None = loaded.preprocess
    if bundle.manifest.preprocess is not None:
        preprocess = preprocess_from_manifest(bundle.manifest.preprocess, loaded.preprocess)
    return bundle.attach(loaded.model), open_source(data, preprocess, labels=labels)
