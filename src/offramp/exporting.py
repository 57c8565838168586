"""From a bundle on its backbone to a folder of stages that run without torch."""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from offramp.bundle import Bundle
from offramp.deployed import UNCUT
from offramp.errors import BundleError, InputError
from offramp.gates import gate
from offramp.inputs import leaves
from offramp.load.optional import require
from offramp.model.backbone import Backbone
from offramp.model.multi_exit import MultiExit
from offramp.progress import Progress, silent
from offramp.run import onnx_files
from offramp.run.loop import stops_of
from offramp.run.routing import PointEntry, Routing, StageFile
from offramp.run.stage import first_names, first_state, stages, uncut_stage
from offramp.types import OperatingPoint


def export(
    bundle: Bundle, folder: Path | str, points: Sequence[str] | None = None, progress: Progress = silent
) -> Routing:
    """Writes one ONNX file per stage, and `routing.json`.

    Operating points with the same exits share their stages; the plain backbone is always there.

    Args:
        bundle: attached to its backbone.
        folder: empty, or to be made.
        points: names of operating points; default those with a name of their own (`balanced`, `fast`, …).
        progress: told about every cut.

    Raises:
        InputError: if the bundle is not attached.
        CaptureError: if the exporter cannot take a stage.
        BundleError: if the folder is not empty or cannot be written.
    """
    folder, live = Path(folder), bundle.multi_exit
    if live is None:
        raise InputError("expected a bundle attached to its backbone; call attach(model) first")
    for package in ("onnx", "onnxscript", "onnxruntime"):
        require(package, "exporting stages")
    wanted = [bundle.point(name) for name in points or _named(bundle)]
    made = _empty(folder)
    try:
        return _exported(bundle, live, wanted, folder, progress)
    except BaseException:
        if made:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _named(bundle: Bundle) -> list[str]:
    return [p.name for p in bundle.points if not p.name.startswith("cost")] or [p.name for p in bundle.points]


def _empty(folder: Path) -> bool:
    """Whether the folder had to be made."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BundleError(f"expected an empty folder, got {folder} with something in it; choose another")
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BundleError(f"cannot write to {folder}: {error.strerror}; choose a folder that can be written") from error
    return made


def _exported(
    bundle: Bundle, live: MultiExit, wanted: Sequence[OperatingPoint], folder: Path, progress: Progress
) -> Routing:
    backbone, logits_of = live.backbone, bundle.task.logits_of
    from offramp.run import parity  # not above: it needs ONNX Runtime

    scorer, last = gate(bundle.manifest.gate), len(live.exits)
    names = {point.configuration.enabled: "" for point in wanted if any(point.configuration.enabled)}
    names = {enabled: f"cut{index}" for index, enabled in enumerate(names)}
    cuts: dict[str, tuple[StageFile, ...]] = {}
    write = partial(onnx_files.export, model=backbone.model, example=backbone.example, folder=folder)
    for done, (enabled, name) in enumerate(names.items()):
        made = stages(live, logits_of, scorer, bundle.calibrators, enabled)
        exits = (*stops_of(enabled, live.point_of), (last,))
        cuts[name] = write(made, exits, name=name)
        parity.check(made, cuts[name], folder, first_state(backbone.example, made[0].masked))
        progress("exporting", done + 1, len(names) + 1)
    plain = uncut_stage(backbone, logits_of, scorer)
    cuts[UNCUT] = write([plain], [(last,)], name=UNCUT)
    parity.check([plain], cuts[UNCUT], folder, leaves(backbone.example))
    progress("exporting", len(names) + 1, len(names) + 1)
    entries = {
        point.name: PointEntry(
            point.configuration.enabled,
            point.configuration.threshold,
            names.get(point.configuration.enabled, UNCUT),
        )
        for point in wanted
    }
    routing = Routing(
        inputs=_inputs(backbone),
        classes=backbone.classes,
        exits=(*(exit_.point for exit_ in live.exits), type(backbone.model).__name__),
        cuts=cuts,
        points=entries,
        aliases={alias: name for alias, name in bundle.manifest.aliases.items() if name in entries},
    )
    routing.write(folder)
    return routing


def _inputs(backbone: Backbone) -> tuple[dict[str, Any], ...]:
    assert backbone.graph is not None
    values = [node.meta["val"] for node in backbone.graph.captured.placeholders]
    names = first_names(backbone.example, masked=False)
    return tuple(
        {
            "name": name,
            "shape": [-1 if isinstance(size, torch.SymInt) else int(size) for size in value.shape[1:]],
            "dtype": str(np.dtype(str(tensor.dtype).removeprefix("torch."))),
        }
        for name, value, tensor in zip(names, values, leaves(backbone.example), strict=True)
    )
