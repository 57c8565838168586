"""The artefact: a folder with `manifest.json`, `heads.safetensors` and `splits.safetensors`.

Where a copy of the backbone was trained, its weights and buffers are in `backbone.safetensors`.

Nothing in it is code: loading builds heads from the sizes in the manifest and fills in plain tensors.
"""

import copy
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file
from torch import nn

from offramp import tasks
from offramp.calibrate.calibrator import Calibrator
from offramp.calibration_entries import calibrator
from offramp.decide.pareto import front
from offramp.entries import cost_profile, example_inputs, exit_point, gate_of, operating_point
from offramp.errors import BundleError, ForeignBackboneError, InputError, UnknownNameError
from offramp.gates.gate import Gate
from offramp.live import Live
from offramp.made_heads import made_heads, small_entry_of, small_weights_of
from offramp.manifest import Manifest
from offramp.model.backbone import Backbone
from offramp.model.by_graph import by_graph
from offramp.model.fingerprint import model_fingerprint, state_fingerprint
from offramp.model.multi_exit import MultiExit
from offramp.network_entries import SmallEntry
from offramp.reading import reader
from offramp.refilled import check_given
from offramp.run.choice import executor
from offramp.run.model import EarlyExitModel
from offramp.split import PARTS
from offramp.tasks.task import Task
from offramp.types import INPUT, CostProfile, Exit, OperatingPoint, ParetoFront

MANIFEST, HEADS, SPLITS = "manifest.json", "heads.safetensors", "splits.safetensors"
BACKBONE = "backbone.safetensors"


@dataclass(frozen=True, eq=False)
class Bundle:
    """Exits, thresholds, certificates and provenance of one backbone.

    Attributes:
        manifest: all but the weights.
        heads: the weights of all heads, named `exit.parameter`.
        splits: the indices of each split.
        multi_exit: the live model, where it is at hand; not saved.
        backbone: weights and buffers of the trained copy of the backbone; None: it is the user's model as it is.
    """

    manifest: Manifest
    heads: Mapping[str, torch.Tensor]
    splits: Mapping[str, np.ndarray]
    multi_exit: MultiExit | None = None
    backbone: Mapping[str, torch.Tensor] | None = None

    @property
    def task(self) -> Task:
        """The task of the backbone."""
        return tasks.task(self.manifest.model.task)

    @property
    def gate(self) -> Gate:
        """What scores the exits' answers."""
        return gate_of(self.manifest.gate)

    @property
    def points(self) -> tuple[OperatingPoint, ...]:
        """All operating points, from the safest to the cheapest, with their certificates."""
        return tuple(operating_point(entry) for entry in self.manifest.operating_points)

    @property
    def front(self) -> ParetoFront:
        """The operating points that are not dominated on the split that chose them."""
        return front(self.points)

    @property
    def report(self) -> tuple[OperatingPoint, ...]:
        """The operating points as measured on the report split, which chose nothing and proved nothing."""
        return tuple(operating_point(entry) for entry in self.manifest.report)

    @property
    def cost(self) -> CostProfile:
        """The cost profile in MACs."""
        return next(profile for profile in self.costs if profile.unit == "macs")

    @property
    def costs(self) -> tuple[CostProfile, ...]:
        """All cost profiles: in MACs, and in seconds at the batch sizes at which they were measured."""
        return tuple(cost_profile(entry) for entry in self.manifest.costs)

    @property
    def calibrators(self) -> tuple[Calibrator, ...]:
        """The calibrator of each exit but the last."""
        return tuple(calibrator(entry.calibration) for entry in self.manifest.exits)

    def point(self, name: str) -> OperatingPoint:
        """The operating point of that name, or the one that an alias such as `balanced` means.

        Raises:
            UnknownNameError: listing the names there are.
        """
        meant = self.manifest.aliases.get(name, name)
        for point in self.points:
            if point.name == meant:
                return point
        known = [point.name for point in self.points] + list(self.manifest.aliases)
        raise UnknownNameError.among("operating point", name, known)

    @property
    def small(self) -> SmallEntry | None:
        """The small model that answers first, where there is one."""
        return small_entry_of(self.manifest)

    @property
    def small_weights(self) -> dict[str, torch.Tensor]:
        """The weights of the small model, under its own names; empty where there is none."""
        return small_weights_of(self.manifest, self.heads)

    def attach(self, model: nn.Module, small: nn.Module | None = None) -> "Bundle":
        """This bundle with its heads on `model`, or on a copy of it with trained weights, where the bundle has them.

        Args:
            model: the backbone.
            small: where the bundle has a small model that answers first, a module of its class and sizes; the weights
                are those of the bundle, and the module is left as it is.

        Raises:
            BundleError: if the trained weights do not fit the model.
            ForeignBackboneError: if `model` is not the backbone the bundle was made for, or `small` is another model.
            InputError: if there is no small model and the bundle has one, or the other way round.
        """
        check_given(small, self.small)
        entry = self.manifest.model
        found = model_fingerprint(model)
        if found != entry.fingerprint:
            raise ForeignBackboneError(
                f"expected the {entry.type} with fingerprint {entry.fingerprint[:12]}, got {type(model).__name__} with "
                f"{found[:12]}; load the weights the bundle was built for, or build a new bundle"
            )
        example = example_inputs(self.manifest.inputs)
        original, model = (None, model) if self.backbone is None else (model, self._trained(model))
        if entry.route == "graph":
            backbone = by_graph(model, example, reader(self.task))
        else:  # tried on real inputs; the fingerprint says that this is the same model
            points = tuple(exit_point(point) for point in self.manifest.points if point.name != INPUT)
            backbone = Backbone(model, example, points, entry.classes, entry.macs, None)
        exits = tuple(Exit(exit_.point, exit_.head) for exit_ in self.manifest.exits)
        heads = made_heads(self.manifest, self.heads, (backbone, reader(self.task)), small)
        return replace(self, multi_exit=MultiExit(backbone, exits, heads, original))

    def _trained(self, model: nn.Module) -> nn.Module:
        """A copy of the model with the weights of this bundle, in eval mode."""
        found = copy.deepcopy(model)
        try:
            found.load_state_dict(dict(self.backbone or {}))
        except RuntimeError as error:
            raise BundleError(f"the trained weights do not fit: {str(error).splitlines()[-1].strip()}") from error
        return found.eval()

    @property
    def live(self) -> Live:
        """The attached model with the gate and the calibrators, of which executors are made.

        Raises:
            InputError: if the bundle is not attached.
        """
        if self.multi_exit is None:
            raise InputError("expected a bundle attached to its backbone; pass model=, or call attach(model) first")
        return Live(self.multi_exit, reader(self.task), self.gate, self.calibrators, self.task.means.parts)

    def use(self, name: str, model: nn.Module | None = None, small: nn.Module | None = None) -> EarlyExitModel:
        """The model that leaves early, at the operating point `name`.

        Args:
            name: an operating point; can be switched later with `EarlyExitModel.use`.
            model: the backbone; may be left out right after `build` or `attach`.
            small: with `model`, where the bundle has a small model that answers first; see `attach`.
        """
        active = self.point(name).name
        live = (self if model is None else self.attach(model, small)).live
        alone = replace(live.multi_exit, original=None)  # so that nothing here keeps a model that does not run
        make = partial(executor, alone, live.logits_of, live.gate, live.calibrators)
        names = (*(point.name for point in self.points), *self.manifest.aliases)
        points = {name: self.point(name) for name in names}
        promises = {name: point.bound.epsilon for name, point in points.items() if point.bound is not None}
        configurations = {name: point.configuration for name, point in points.items()}
        return EarlyExitModel(
            make, configurations, live.multi_exit.point_of, active, torch.from_numpy, promises, live.gate.rule
        )

    def save(self, folder: Path | str) -> Path:
        """Writes the bundle; the manifest last, so that a folder with a manifest is complete.

        A bundle that is there already is replaced once the new one is written whole, so that a full disk loses nothing.

        Raises:
            BundleError: if the folder cannot be written.
        """
        folder = Path(folder)
        trained = () if self.backbone is None else (BACKBONE,)
        drafts = {name: folder / f"new-{name}" for name in (*trained, HEADS, SPLITS, MANIFEST)}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            save_file(dict(self.heads), drafts[HEADS])
            save_arrays(dict(self.splits), drafts[SPLITS])
            if self.backbone is not None:
                save_file(dict(self.backbone), drafts[BACKBONE])
            self.manifest.write(drafts[MANIFEST])
            (folder / MANIFEST).unlink(missing_ok=True)
            (folder / BACKBONE).unlink(missing_ok=True)
            for name, draft in drafts.items():
                draft.replace(folder / name)
        except (OSError, SafetensorError) as error:
            for draft in drafts.values():
                with suppress(OSError):
                    draft.unlink()
            raise BundleError(
                f"cannot write the bundle to {folder}: {error}; free space or choose another folder"
            ) from error
        return folder

    @classmethod
    def load(cls, folder: Path | str) -> "Bundle":
        """The bundle in a folder.

        Raises:
            BundleError: if anything in it is missing or damaged.
        """
        folder = Path(folder)
        manifest = Manifest.read(folder / MANIFEST)
        try:
            heads, splits = load_file(folder / HEADS), load_arrays(folder / SPLITS)
            trained = None if manifest.trained is None else load_file(folder / BACKBONE)
        except (OSError, SafetensorError) as error:
            raise BundleError(f"cannot read the tensors in {folder}: {error}; build the bundle again") from error
        bundle = cls(manifest, heads, splits, backbone=trained)
        bundle._check()
        return bundle

    def _check(self) -> None:
        """Refuses what can be read but not used: unknown names, impossible costs, missing parts, misfit heads."""
        try:
            _ = self.gate, self.task, self.report, self.cost, [self.point(alias) for alias in self.manifest.aliases]
        except InputError as error:
            raise BundleError(f"the manifest cannot be used: {error}; build the bundle again") from error
        missing = [part for part in PARTS if part not in self.splits]
        if missing:
            raise BundleError(
                f"expected the indices of {', '.join(PARTS)}, got no {missing[0]}; build the bundle again"
            )
        made_heads(self.manifest, self.heads)
        trained = self.manifest.trained
        found = None if self.backbone is None else state_fingerprint(self.manifest.model.type, self.backbone)
        if trained is not None and found != trained.fingerprint:
            raise BundleError(
                f"expected the trained weights with fingerprint {trained.fingerprint[:12]} in {BACKBONE}, got "
                f"{str(found)[:12]}: they were changed or are of another build; build the bundle again"
            )
