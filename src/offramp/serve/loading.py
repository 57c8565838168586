"""A bundle on its backbone, or a folder of exported stages, as what is served."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from offramp import deployed
from offramp.run.routing import Routing
from offramp.serve.deployment import Deployment, InputSpec, ServedPoint
from offramp.serve.widest import cut_of


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
    ordered = sorted(entries, key=lambda name: (any(entries[name].enabled), entries[name].promise or 0.0))
    return Deployment(
        name=folder.resolve().name,
        inputs=tuple(
            InputSpec(str(one["name"]), np.dtype(one["dtype"]), tuple(int(size) for size in one["shape"]))
            for one in routing.inputs
        ),
        classes=routing.classes,
        exits=_numbered(routing.exits),
        point_of=routing.point_of,
        points={
            name: ServedPoint(entries[name].configuration, None, entries[name].promise, routing.risk)
            for name in ordered
        },
        aliases=routing.aliases,
        active=point or _first(routing.aliases, ordered),
        rule=routing.rule,
        executor_for=make,
        arranged=dict,
    )


def from_bundle(
    bundle: Any, backend: str, folder: Path, name: str, point: str | None = None, threads: int = 0
) -> Deployment:
    """A bundle that is attached to its backbone.

    Args:
        bundle: attached.
        backend: what it runs on; see `backends.NAMES`.
        folder: where stages are written to, if the back end needs them.
        name: of the model.
        point: to begin with; None: `balanced`, or the first.
        threads: of exported stages; 0 for all cores.

    Raises:
        UnknownNameError: if there is no such point or back end.
        InputError: if a package is missing.
    """
    import torch  # what is served from stages needs none

    from offramp.backends import executors
    from offramp.exporting import inputs_of

    live = bundle.live
    make = executors(live, [backend], folder, threads)[backend]
    specs = tuple(
        InputSpec(str(one["name"]), np.dtype(one["dtype"]), tuple(one["shape"]))
        for one in inputs_of(live.multi_exit.backbone)
    )
    named = isinstance(live.multi_exit.backbone.example, dict)
    in_torch = backend in ("eager", "compile", "cuda-graphs")
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
        exits=_numbered((*(f"{one.point}/{one.head}" for one in bundle.manifest.exits), "backbone")),
        point_of=tuple(live.multi_exit.point_of),
        points={
            one.name: ServedPoint(
                one.configuration,
                one.cost,
                None if one.bound is None else one.bound.epsilon,
                None if one.bound is None else one.bound.risk,
            )
            for one in points
        },
        aliases=dict(bundle.manifest.aliases),
        active=point or _first(bundle.manifest.aliases, [one.name for one in points]),
        rule=live.gate.rule,
        executor_for=make,
        arranged=arranged,
        price=bundle.cost,
    )


def _first(aliases: Mapping[str, str], points: list[str]) -> str:
    return "balanced" if "balanced" in (*aliases, *points) else points[0]


def _numbered(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names that are there once each."""
    return tuple(
        name if names.count(name) == 1 else f"{name}#{names[:at].count(name)}" for at, name in enumerate(names)
    )
