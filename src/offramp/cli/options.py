"""Options and arguments that several commands share."""

from pathlib import Path
from typing import Annotated, Any

import typer

from offramp.errors import InputError
from offramp.load.models import LoadedModel, load_model

ModelSpec = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="timm:NAME, torchvision:NAME, transformers:NAME_OR_PATH or FILE.py:FACTORY."),
]
OptionalModel = Annotated[
    str | None,
    typer.Argument(metavar="[MODEL]", help="As for build; may be left out where the bundle names a library model."),
]
BundlePath = Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder made by `offramp build`.")]
Weights = Annotated[
    Path | None,
    typer.Option(help="Weights: a safetensors file, or a torch file that holds nothing but tensors."),
]
Data = Annotated[
    str,
    typer.Option(
        metavar="DATA",
        help="Folder or .tar of images, .npz with x (and y), csv/tsv/parquet, or FILE.py:FACTORY returning a Dataset.",
    ),
]
Labels = Annotated[Path | None, typer.Option("--label-file", help="csv with columns file,class_index for images.")]
Mean = Annotated[str | None, typer.Option(metavar="R,G,B", help="Mean per channel, after scaling pixels to 0..1.")]
Std = Annotated[str | None, typer.Option(metavar="R,G,B", help="Standard deviation per channel.")]
Size = Annotated[str | None, typer.Option(metavar="HxW", help="Size that images are resized and cropped to.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of a table.")]


def preprocess_of(mean: str | None, std: str | None, size: str | None) -> dict[str, Any] | None:
    """The preprocessing that the flags describe; None where there are none.

    >>> preprocess_of("0.5", "0.5", "28x28")
    {'mean': (0.5,), 'std': (0.5,), 'size': (28, 28)}
    """
    found: dict[str, Any] = {}
    if mean is not None:
        found["mean"] = _numbers("--mean", mean)
    if std is not None:
        found["std"] = _numbers("--std", std)
    if size is not None:
        found["size"] = dimensions("--size", size)
    return found or None


def _numbers(flag: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"expected numbers separated by commas for {flag}, got {text!r}") from error


def dimensions(flag: str, text: str) -> tuple[int, ...]:
    """Sizes written as 3x32x32.

    >>> dimensions("--input", "1x3x32x32")
    (1, 3, 32, 32)
    """
    try:
        return tuple(int(part) for part in text.lower().split("x"))
    except ValueError as error:
        raise InputError(f"expected sizes such as 32x32 for {flag}, got {text!r}") from error


def loaded_model(
    spec: str, weights: Path | None, mean: str | None = None, std: str | None = None, size: str | None = None
) -> LoadedModel:
    """The model of a command line."""
    return load_model(spec, weights, preprocess=preprocess_of(mean, std, size))
