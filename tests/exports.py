"""The toy bundle with operating points that cannot be mistaken for each other, and its exported stages."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch

from offramp.bundle import Bundle
from offramp.entries import operating_entry
from offramp.exporting import export
from offramp.model.multi_exit import Recording
from offramp.reading import reader
from offramp.types import Configuration, OperatingPoint
from tests.builds import bundle, images

POINTS = ("early", "sooner", "late", "full")
"""`sooner` has the exits of `early` and lower thresholds; `late` has others; `full` has none."""


NESTED = ("wide", "hasty", "full")
"""`wide` leaves at three places, each for a third; `hasty` at two of them, for more; `full` has no exits."""


@cache
def distinct() -> Bundle:
    """The toy bundle with `POINTS` instead of its own."""
    return _with(POINTS)


@cache
def nested() -> Bundle:
    """The toy bundle with `NESTED` instead of its own."""
    return _with(NESTED)


def _with(names: Sequence[str]) -> Bundle:
    plain = bundle()
    asked = _configurations(plain)
    nowhere = (0.0,) * (len(plain.manifest.exits) + 1)
    points = [OperatingPoint(name, asked[name], 0.0, 1.0, nowhere, "choose") for name in names]
    entries = tuple(map(operating_entry, points))
    manifest = plain.manifest.model_copy(update={"operating_points": entries, "report": entries, "aliases": {}})
    return replace(plain, manifest=manifest)


def exported(folder: Path, points: Sequence[str] = POINTS) -> Path:
    """The stages of that bundle in a folder that is made."""
    export(distinct(), folder, points)
    return folder


def _configurations(plain: Bundle) -> Mapping[str, Configuration]:
    live = plain.multi_exit
    assert live is not None
    with torch.no_grad():
        said = live.outputs(images(240, 5), reader(plain.task)).numpy()
    scores = Recording(said, "choose").scores(plain.gate, plain.calibrators)
    inner = len(live.exits)

    def leaving(share: float, *exits: int) -> Configuration:
        """This share of the samples leaves at each of the exits."""
        on = tuple(index in exits for index in range(inner))
        return Configuration(on, tuple(float(np.quantile(scores[index], 1 - share)) for index in range(inner)))

    return {
        "early": leaving(0.3, 0, 1),
        "sooner": leaving(0.7, 0, 1),
        "late": leaving(0.5, inner - 2, inner - 1),
        "wide": leaving(0.33, 0, 2, inner - 1),
        "hasty": leaving(0.6, 0, inner - 1),
        "full": Configuration.full(inner),
    }
