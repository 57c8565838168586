"""Options and arguments that several commands share."""

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from offramp.errors import InputError
from offramp.report.paths import SUFFIXES
from offramp.tasks import NAMES as TASKS

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
Small = Annotated[
    str | None,
    typer.Option(
        metavar="SPEC",
        help="The small model that answers first, named as MODEL is; needed where it is code of your own.",
    ),
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
Channels = Annotated[int | None, typer.Option(metavar="1|3", help="1 for grey images, 3 for RGB (the default).")]
MaxLength = Annotated[
    int | None,
    typer.Option(min=1, metavar="TOKENS", help="Tokens that a text may have, special ones included; the rest is cut."),
]
FigurePath = Annotated[
    Path | None, typer.Option(metavar="FILE", help=f"Write a figure to this file ({', '.join(SUFFIXES)}).")
]
Points = Annotated[
    str | None,
    typer.Option(
        metavar="POINTS",
        help="Exit points: names or indices, every:K, share:0.25,0.5 of the cost, or proposed[:K] by a survey.",
    ),
]
Task = Annotated[
    str | None,
    typer.Option(
        metavar="TASK",
        help=f"What the model is for: {', '.join(TASKS)}. Default: what its preprocessing says, or classification.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of a table.")]


SPLIT = "50/15/20/15"
"""Shares of a build for training heads / choosing / certifying / reporting, where nothing else is asked for."""


def preprocess_of(
    mean: str | None = None,
    std: str | None = None,
    size: str | None = None,
    channels: int | None = None,
    max_length: int | None = None,
) -> dict[str, Any] | None:
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
        height, width = (dimensions("--size", size, 1, 2) * 2)[:2]
        found["size"] = (height, width)
    if channels is not None:
        found["channels"] = channels
    if max_length is not None:
        if found:
            raise InputError(f"expected --max-length alone, which is for texts, got it with --{next(iter(found))}")
        found["max_length"] = max_length
    return found or None


def _numbers(flag: str, text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(math.isfinite(number) for number in numbers):
        raise InputError(f"expected numbers such as 0.5 or 0.48,0.46,0.41 for {flag}, got {text!r}")
    return numbers


def dimensions(flag: str, text: str, least: int, most: int) -> tuple[int, ...]:
    """Sizes written as 3x32x32, between `least` and `most` of them.

    >>> dimensions("--input", "1x3x32x32", 2, 6)
    (1, 3, 32, 32)
    """
    try:
        sizes = tuple(int(part) for part in text.lower().split("x"))
    except ValueError:
        sizes = ()
    if not least <= len(sizes) <= most or min(sizes) < 1:
        example = "x".join(["1", "3", "224", "224"][-most:])
        raise InputError(f"expected sizes of at least 1 such as {example} for {flag}, got {text!r}")
    return sizes


def sizes_of(flag: str, text: str) -> list[int]:
    """Whole numbers of at least 1 separated by commas; none in an empty text.

    >>> sizes_of("--batch-sizes", "1, 32")
    [1, 32]
    """
    try:
        sizes = [int(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise InputError(f"expected whole numbers such as 1,32 for {flag}, got {text!r}") from error
    if any(size < 1 for size in sizes):
        raise InputError(f"expected sizes of at least 1 for {flag}, got {text!r}")
    return list(dict.fromkeys(sizes))


def shares_of(flag: str, text: str) -> dict[int, float]:
    """Batch sizes with their shares, 1 where none is given.

    >>> shares_of("--batch-sizes", "1, 32:0.5")
    {1: 1.0, 32: 0.5}
    """
    found: dict[int, float] = {}
    for part in text.split(","):
        size, _, share = part.partition(":")
        try:
            number, part_of_all = int(size), float(share or 1)
        except ValueError as error:
            raise InputError(f"expected batch sizes such as 1,32 or 1:0.2,32:0.8 for {flag}, got {text!r}") from error
        if number in found:
            raise InputError(f"expected each batch size once for {flag}, got {text!r}")
        found[number] = part_of_all
    if min(found) < 1 or not all(math.isfinite(share) and share > 0 for share in found.values()):
        raise InputError(f"expected batch sizes of at least 1 with positive shares for {flag}, got {text!r}")
    return found
