"""From a bundle on its backbone to a folder of stages that run without torch."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.fx.experimental.symbolic_shapes import is_concrete_int

from offramp.bundle import Bundle
from offramp.deployed import UNCUT, available, runtime_of
from offramp.errors import BundleError, CaptureError, InputError, UnknownNameError
from offramp.inputs import leaves
from offramp.live import Live
from offramp.load.click_preprocess import ids_of
from offramp.load.optional import require
from offramp.load.portable import tokeniser_of
from offramp.model.backbone import Backbone
from offramp.model.limits import limits_of
from offramp.model.quantiser import rounds
from offramp.progress import Progress, silent
from offramp.run import onnx_files
from offramp.run.loop import stops_of
from offramp.run.routing import PointEntry, Routing, StageFile
from offramp.run.stage import Stage, State, first_names, first_state, stages, uncut_stage
from offramp.tokeniser import Tokeniser
from offramp.types import OperatingPoint

KINDS = ("onnx", "openvino")
"""Formats of stage files."""


def export(
    bundle: Bundle,
    folder: Path | str,
    points: Sequence[str] | None = None,
    progress: Progress = silent,
    *,
    kind: str = "onnx",
    tokeniser: Tokeniser | None = None,
) -> Routing:
    """Writes one file per stage, and `routing.json`; of a model that takes texts also its `tokenizer.json`.

    Operating points with the same exits share their stages; the plain backbone is always there.

    Args:
        bundle: attached to its backbone.
        folder: empty, or to be made.
        points: names of operating points; default those with a name of their own (`balanced`, `fast`, …).
        progress: told about every cut.
        kind: `onnx`, which ONNX Runtime and OpenVINO read, or `openvino`, which only the latter does, and faster.
        tokeniser: of the texts that the model takes; default that of the build, where it still can be loaded.

    Raises:
        UnknownNameError: if there is no such kind of file.
        InputError: if the bundle is not attached.
        CaptureError: if the exporter cannot take a stage.
        BundleError: if the folder is not empty or cannot be written.
    """
    folder, live = Path(folder), bundle.live
    wanted = [bundle.point(name) for name in points or _named(bundle)]
    made = _empty(folder)
    try:
        return _exported(bundle, live, wanted, Cuts(live, folder, kind), progress, tokeniser or _recorded(bundle))
    except BaseException:
        if made:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _recorded(bundle: Bundle) -> Tokeniser | None:
    """The tokenizer of the build; None where there was none, or it is gone."""
    try:
        return tokeniser_of(bundle.manifest)
    except InputError:  # stages that take token ids are of use without it
        return None


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
    bundle: Bundle,
    live: Live,
    wanted: Sequence[OperatingPoint],
    cuts: "Cuts",
    progress: Progress,
    tokeniser: Tokeniser | None,
) -> Routing:
    multi_exit = live.multi_exit
    sets = list(dict.fromkeys(point.configuration.enabled for point in wanted if any(point.configuration.enabled)))
    for done, enabled in enumerate(sets):
        cuts.of(enabled)
        progress("exporting", done + 1, len(sets) + 1)
    _ = cuts.uncut
    progress("exporting", len(sets) + 1, len(sets) + 1)
    entries = {
        point.name: PointEntry(
            point.configuration.enabled,
            point.configuration.threshold,
            cuts.name(point.configuration.enabled),
            None if point.bound is None else point.bound.epsilon,
            *costs_of(bundle, point),
            point.loss,
        )
        for point in wanted
    }
    routing = Routing(
        inputs=inputs_of(multi_exit.backbone, bundle.manifest.preprocess),
        classes=multi_exit.backbone.classes,
        exits=(*(exit_.point for exit_ in multi_exit.exits), type(multi_exit.backbone.model).__name__),
        cuts=cuts.files,
        points=entries,
        aliases={alias: name for alias, name in bundle.manifest.aliases.items() if name in entries},
        rule=live.gate.rule,
        risk=bundle.manifest.risk,
        full=tuple(map(asdict, multi_exit.backbone.full)),
        task=bundle.task.name,
        unfit=cuts.unfit,
        max_length=None if tokeniser is None else tokeniser.max_length,
    )
    if tokeniser is not None:
        tokeniser.write(cuts.folder)
    routing.write(cuts.folder)
    return routing


def costs_of(bundle: Bundle, point: OperatingPoint) -> tuple[float, tuple[float, ...]]:
    """Mean cost at a point when it was chosen, and of leaving at each exit, as shares of the backbone's MACs."""
    price = bundle.cost
    shares = price.leaving(np.array(point.configuration.enabled, bool)) / price.backbone
    return float(shares @ np.array(point.exit_share)), tuple(shares.tolist())


class Cuts:
    """Stages in a folder, written when a set of exits is first asked for, and compared with the model.

    Attributes:
        files: the stages of each cut by its name.
        unfit: by name, runtimes that were found not to answer as the model does, and how.
    """

    def __init__(self, live: Live, folder: Path, kind: str = "onnx") -> None:
        """No cut yet.

        Raises:
            UnknownNameError: if there is no such kind of file.
            InputError: if a package is missing.
        """
        if kind not in KINDS:
            raise UnknownNameError.among("format", kind, KINDS)
        for package in ("onnx", "onnxscript", "onnxruntime", *(["openvino"] if kind == "openvino" else [])):
            require(package, "exporting stages")
        self._kind = kind
        self._live, self.folder = live, folder
        self.files: dict[str, tuple[StageFile, ...]] = {}
        self.unfit: dict[str, str] = {}
        self._names: dict[tuple[bool, ...], str] = {}

    def of(self, enabled: tuple[bool, ...]) -> tuple[StageFile, ...]:
        """The stages for these exits.

        Raises:
            CaptureError: if the exporter cannot take a stage, or a stage answers otherwise than the model.
        """
        if not any(enabled):
            return (self.uncut,)
        name = self.name(enabled)
        if name not in self.files:
            multi_exit = self._live.multi_exit
            made = stages(multi_exit, self._live.logits_of, self._live.gate, self._live.calibrators, enabled)
            exits = (*stops_of(enabled, multi_exit.point_of), (len(multi_exit.exits),))
            self._write(name, made, exits, first_state(multi_exit.backbone.example, made[0].masked))
        return self.files[name]

    @property
    def uncut(self) -> StageFile:
        """The plain backbone."""
        if UNCUT not in self.files:
            backbone = self._live.multi_exit.backbone
            plain = uncut_stage(self._live.multi_exit, self._live.logits_of, self._live.gate)
            self._write(UNCUT, [plain], [(len(self._live.multi_exit.exits),)], leaves(backbone.example))
        return self.files[UNCUT][0]

    def name(self, enabled: tuple[bool, ...]) -> str:
        """What the cut at these exits is called."""
        return self._names.setdefault(enabled, f"cut{len(self._names)}") if any(enabled) else UNCUT

    def _write(self, name: str, made: Sequence[Stage], exits: Sequence[Sequence[int]], state: State) -> None:
        from offramp.run import boundaries, parity  # not above: they need packages that only exporting does

        backbone = self._live.multi_exit.backbone
        files = onnx_files.export(made, exits, backbone.model, backbone.example, self.folder, name)
        parity.check(made, files, self.folder, state, runtime_of("onnx"), self._live.parts)
        most = parity.TOLERANCE
        if rounds(backbone.model.state_dict()):
            most = parity.ROUNDED
            boundaries.narrow(files, self.folder)
            parity.check_chain(
                made, files, state, runtime_of("onnx")(self.folder, files, files[-1], 1), most, self._live.parts
            )
            self.unfit |= _unfit(made, files, state, self.folder)
        if self._kind == "openvino":
            from offramp.run import openvino_files

            if "openvino" in self.unfit:
                raise CaptureError(f"cannot export for OpenVINO: {self.unfit['openvino']}; export with --format onnx")
            files = openvino_files.converted(self.folder, files)
            parity.check_chain(
                made, files, state, runtime_of("openvino")(self.folder, files, files[-1], 1), most, self._live.parts
            )
        self.files[name] = files


def _unfit(made: Sequence[Stage], files: Sequence[StageFile], state: State, folder: Path) -> dict[str, str]:
    """Why OpenVINO must not run stages that round, if it must not: some of its integer kernels are wrong (2026.4)."""
    if not available("openvino"):  # nobody will run them in it here
        return {}
    from offramp.run import parity

    try:
        parity.check_chain(made, files, state, runtime_of("openvino")(folder, files, files[-1], 1))
    except Exception as error:  # whatever OpenVINO raises where it cannot load a stage
        return {"openvino": next(reversed(str(error).strip().splitlines()), type(error).__name__)}
    return {}


def _size(size: int | torch.SymInt) -> int:
    """A size, -1 where it is open; one that the graph was traced with as open may have turned out to be fixed."""
    return -1 if isinstance(size, torch.SymInt) and not is_concrete_int(size) else int(size)


def inputs_of(backbone: Backbone, preprocess: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], ...]:
    """Per input of the model its name, shape without batch axis and NumPy type; -1 stands for an open size.

    Where they are known, also its limits, see `model.limits.Limits`; and where the preprocessing, as the manifest has
    it, is that of clicks, those of ids of categories, see `load.click_preprocess.ids_of`.
    """
    assert backbone.graph is not None
    values = [node.meta["val"] for node in backbone.graph.captured.placeholders]
    names = first_names(backbone.example, masked=False)
    found = limits_of(backbone.graph.captured, backbone.model)
    return tuple(
        {
            "name": name,
            "shape": [_size(size) for size in value.shape[1:]],
            "dtype": str(np.dtype(str(tensor.dtype).removeprefix("torch."))),
            **{what: limit for what, limit in asdict(limits).items() if limit is not None},
            **({} if tensor.is_floating_point() else ids_of(preprocess, value.shape[1:])),
        }
        for name, value, tensor, limits in zip(names, values, leaves(backbone.example), found, strict=True)
    )
