"""What `offramp serve` serves: a bundle or stages, loaded as often as it is asked to, or stages on a cluster."""

import copy
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from pydantic import ValidationError
from torch import nn

from offramp.bundle import Bundle
from offramp.cli.attached import loaded_for
from offramp.errors import InputError
from offramp.load.optional import require
from offramp.load.small import small_of
from offramp.run.routing import FILE

if TYPE_CHECKING:
    from offramp.serve.controller import Controller
    from offramp.serve.deployment import Deployment


def told_at(name: str, url: str) -> None:
    """Says where a model is served."""
    typer.echo(f"serving {name} at {url}")
    sys.stdout.flush()


def on_ray(folder: Path, refused: Mapping[str, object], told: Mapping[str, Any], host: str, port: int) -> None:
    """On a cluster; `refused` are options that only one process has."""
    for package in ("ray", "ray.serve", "prometheus_client"):
        require(package, "serving on many machines")
    from offramp.serve.ray.arguments import Arguments
    from offramp.serve.ray.running import run

    if not (folder / FILE).exists():
        raise InputError(f"expected a folder that offramp export wrote with --ray, got {folder}; run offramp export")
    for name in refused:
        if refused[name] is not None:
            raise InputError(f"expected no --{name} with --ray; switch by the user_config of the deployment Ingress")
    try:
        arguments = Arguments(folder=folder, **told)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"expected {first['loc'][0]} as Ray Serve takes it: {first['msg']}") from error
    run(arguments, host=host, port=port, started=partial(told_at, told["name"] or folder.resolve().name))


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

    networks: list[nn.Module] = []
    times = count()

    def newest() -> "Deployment":
        here = loading.newest(folder)
        known = name or folder.resolve().name
        if (here / FILE).exists():
            return replace(loading.from_stages(here, backend, point, threads), name=known)
        loaded = Bundle.load(here)
        if not networks:
            networks.append(loaded_for(loaded.manifest.model, model, weights).model)
        # a copy, since capturing a model changes it for a moment, in which the version before may run it
        live = loaded.attach(copy.deepcopy(networks[0]), small_of(loaded, small))
        return loading.from_bundle(live, backend, stages / str(next(times)), known, point, threads)

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
