"""What `offramp serve` serves, loaded as often as it is asked to, and the controller that it is asked for."""

import copy
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from offramp.bundle import Bundle
from offramp.cli.attached import loaded_for, tokeniser_for
from offramp.errors import InputError
from offramp.load.models import LoadedModel
from offramp.load.small import small_of
from offramp.run.routing import FILE

if TYPE_CHECKING:
    from offramp.serve.controller import Controller
    from offramp.serve.deployment import Deployment


def told_at(name: str, url: str) -> None:
    """Says where a model is served."""
    typer.echo(f"serving {name} at {url}")
    sys.stdout.flush()


def loader(
    folder: Path,
    model: str | None,
    weights: Path | None,
    small: str | None,
    name: str | None,
    point: str | None,
    backend: str,
    threads: int,
    stages: Path,
) -> "Callable[[], Deployment]":
    """Loads what there is now; the backbone of a bundle is loaded once."""
    from offramp.serve import loading

    networks: list[LoadedModel] = []
    times = count()

    def newest() -> "Deployment":
        here = loading.newest(folder)
        known = name or folder.resolve().name
        if (here / FILE).exists():
            return replace(loading.from_stages(here, backend, point, threads), name=known)
        loaded = Bundle.load(here)
        if not networks:
            networks.append(loaded_for(loaded.manifest.model, model, weights))
        # a copy, since capturing a model changes it for a moment, in which the version before may run it
        live = loaded.attach(copy.deepcopy(networks[0].model), small_of(loaded, small))
        tokeniser = tokeniser_for(loaded, networks[0].preprocess, "served")
        return loading.from_bundle(live, backend, stages / str(next(times)), known, point, threads, tokeniser)

    return newest


def control(wish: str, floor: float | None) -> "Callable[[Deployment], Controller]":
    """Makes the controller that a flag such as `p95=0.05` describes."""
    from offramp.serve.controller import Controller, usable

    measure, _, value = wish.partition("=")
    try:
        target = float(value)
    except ValueError as error:
        raise InputError(f"expected --hold such as p95=0.05, queue=20 or cost=0.5, got {wish!r}") from error
    Controller(("any",), measure, target)  # refused now, if it is none
    return lambda deployment: Controller(usable(deployment.points, floor), measure, target)
