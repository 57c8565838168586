"""A bundle on its backbone, or a folder of exported stages, as what is served."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from offramp import deployed, tasks
from offramp.errors import InputError
from offramp.run.routing import PointEntry, Routing
from offramp.serve.deployment import Deployment, InputSpec, ServedPoint
from offramp.serve.logs import LOG
from offramp.serve.widest import cut_of
from offramp.tokeniser import Tokeniser
from offramp.types import OperatingPoint


def newest(folder: Path) -> Path:
    """The folder within it whose name is the highest number, where it has such; else itself.

    >>> newest(Path("bundle")).name
    'bundle'
    """
    numbered = [one for one in folder.iterdir() if one.is_dir() and one.name.isdecimal()] if folder.is_dir() else []
    return max(numbered, key=lambda one: int(one.name), default=folder)


def from_stages(folder: Path, runtime: str = "onnx", point: str | None = None, threads: int = 0) -> Deployment:
    """A folder that `offramp export` wrote; torch need not be installed.

    Raises:
        BundleError: if the folder is not one that was exported.
        UnknownNameError: if there is no such point or runtime.
        InputError: if the runtime is not installed, or no stages have the exits of all points.
    """
    routing = Routing.read(folder)
    entries = routing.points
    make = deployed.executors(folder, routing, runtime, threads)
    cut_of(routing, folder)
    ordered = sorted(entries, key=lambda name: _safety(entries[name]))
    return Deployment(
        name=folder.resolve().name,
        inputs=tuple(map(InputSpec.of, routing.inputs)),
        classes=routing.classes,
        task=tasks.task(routing.task),
        exits=_numbered(routing.exits),
        point_of=routing.point_of,
        points={
            name: ServedPoint(
                entries[name].configuration,
                entries[name].cost,
                entries[name].promise,
                routing.risk,
                entries[name].leaving,
                entries[name].loss,
            )
            for name in ordered
        },
        aliases=routing.aliases,
        active=point or _first(routing.aliases, ordered),
        rule=routing.rule,
        executor_for=make,
        arranged=dict,
        full=tuple(map(InputSpec.of, routing.full)),
        tokeniser=_tokeniser(folder, routing.max_length),
    )


def _tokeniser(folder: Path, max_length: int | None) -> Tokeniser | None:
    """The tokenizer beside exported stages; None where there is none, or nothing here runs it."""
    if max_length is None:
        return None
    try:
        return Tokeniser.read(folder, max_length)
    except InputError as error:
        LOG.warning("token ids are served, and no texts: %s", error)
        return None


def from_bundle(
    bundle: Any,
    backend: str,
    folder: Path,
    name: str,
    point: str | None = None,
    threads: int = 0,
    tokeniser: Tokeniser | None = None,
) -> Deployment:
    """A bundle that is attached to its backbone.

    Args:
        bundle: attached.
        backend: what it runs on; see `backends.NAMES`.
        folder: where stages are written to, if the back end needs them.
        name: of the model.
        point: to begin with; None: `balanced`, or the first.
        threads: of exported stages; 0 for all cores.
        tokeniser: of the texts that the model takes; None: it is given token ids, or something else.

    Raises:
        UnknownNameError: if there is no such point or back end.
        InputError: if a package is missing.
    """
    import torch  # what is served from stages needs none

    from offramp.backends import executors
    from offramp.exporting import costs_of, inputs_of
    from offramp.model.limits import positions_of

    live = bundle.live
    make = executors(live, [backend], folder, threads)[backend]
    specs = tuple(map(InputSpec.of, inputs_of(live.multi_exit.backbone, bundle.manifest.preprocess)))
    named = isinstance(live.multi_exit.backbone.example, dict)
    in_torch = backend in ("eager", "compile", "cuda-graphs")
    if in_torch:  # captures the model anew where a graph does not hold for a length, so only positions set a limit
        positions = positions_of(live.multi_exit.backbone.model)
        specs = tuple(replace(one, most=None if one.most is None else positions) for one in specs)
    order = [spec.name for spec in specs]

    def arranged(stacked: Mapping[str, np.ndarray]) -> Any:
        if not in_torch:
            return dict(stacked)
        tensors = [torch.from_numpy(stacked[name]) for name in order]
        if named:
            return dict(zip(order, tensors, strict=True))
        return tensors[0] if len(tensors) == 1 else tuple(tensors)

    points = sorted(bundle.points, key=lambda one: -one.cost)
    return Deployment(
        name=name,
        inputs=specs,
        classes=live.multi_exit.backbone.classes,
        task=bundle.task,
        exits=_numbered((*(f"{one.point}/{one.head}" for one in bundle.manifest.exits), "backbone")),
        point_of=tuple(live.multi_exit.point_of),
        points={one.name: _served(one, *costs_of(bundle, one)) for one in points},
        aliases=dict(bundle.manifest.aliases),
        active=point or _first(bundle.manifest.aliases, [one.name for one in points]),
        rule=live.gate.rule,
        executor_for=make,
        arranged=arranged,
        full=tuple(InputSpec.of(asdict(one)) for one in live.multi_exit.backbone.full),
        tokeniser=tokeniser,
    )


def _served(point: OperatingPoint, cost: float, leaving: tuple[float, ...]) -> ServedPoint:
    bound = point.bound
    if bound is None:
        return ServedPoint(point.configuration, cost, leaving=leaving, loss=point.loss)
    return ServedPoint(point.configuration, cost, bound.epsilon, bound.risk, leaving, point.loss)


def _safety(entry: PointEntry) -> tuple[bool, float, float]:
    """The lower the more accurate, as far as that is known."""
    return any(entry.enabled), entry.promise or 0.0, -(entry.cost or 0.0)


def _first(aliases: Mapping[str, str], points: list[str]) -> str:
    return "balanced" if "balanced" in (*aliases, *points) else points[0]


def _numbered(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names that are there once each."""
    return tuple(
        name if names.count(name) == 1 else f"{name}#{names[:at].count(name)}" for at, name in enumerate(names)
    )
