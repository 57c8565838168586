"""A bundle from its parts, with its provenance."""

import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import nn

from offramp.bundle import Bundle
from offramp.calibrate.calibrator import Calibrator
from offramp.deciding import Decided
from offramp.entries import (
    cost_entry,
    exit_entry,
    gate_entry,
    input_entries,
    operating_entry,
    point_entry,
    small_entry,
    student_entry,
)
from offramp.head_search import FoundHead
from offramp.heads import head_type
from offramp.heads.network import Answers
from offramp.load.cutting import cut_in
from offramp.load.models import LoadedModel
from offramp.manifest import (
    SCHEMA_VERSION,
    DataEntry,
    ExitEntry,
    Manifest,
    ModelEntry,
    PhaseEntry,
    SplitEntry,
    TrainedEntry,
)
from offramp.model.backbone import Backbone
from offramp.model.fingerprint import model_fingerprint
from offramp.model.multi_exit import MultiExit
from offramp.model.pruned import Pruned
from offramp.options import Options
from offramp.sources import Source
from offramp.split import PARTS, Parts
from offramp.tasks.task import Task
from offramp.train.spent import Spent
from offramp.types import CostProfile


def assemble(
    loaded: LoadedModel,
    multi_exit: MultiExit,
    source: Source,
    extra: Sequence[Source],
    parts: Parts,
    options: Options,
    decided: Decided,
    seconds: Sequence[CostProfile],
    task: Task,
    small: LoadedModel | None = None,
    spent: Sequence[Spent] = (),
    found: Sequence[FoundHead] = (),
) -> Bundle:
    """The bundle with everything that was decided and where it came from; not saved yet.

    `spent` is what each phase of the backbone's training has cost, where it was trained.
    """
    backbone = multi_exit.backbone
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        model=_model_entry(loaded, backbone, task),
        trained=_trained_entry(multi_exit, options, decided, spent),
        inputs=input_entries(backbone.example),
        preprocess=None if loaded.preprocess is None else loaded.preprocess.to_manifest(),
        points=tuple(point_entry(point) for point in multi_exit.points),
        exits=tuple(_exit_entry(multi_exit, index, by, small) for index, by in enumerate(decided.calibrators)),
        gate=gate_entry(decided.gate),
        risk=decided.risk,
        goal={"max_drop": options.max_drop, "delta": options.delta},
        data=data_entry(source),
        extra_data=tuple(data_entry(more) for more in extra),
        split=split_entry(options, parts),
        provenance=_provenance(options) | ({"head_search": [asdict(one) for one in found]} if found else {}),
        **point_entries(decided, seconds),
    )
    splits = {part: indices.astype(np.int64) for part, indices in parts.items()}
    trained = None if multi_exit.original is None else tensors_of(backbone.model)
    return Bundle(manifest, tensors_of(multi_exit.heads), splits, multi_exit, trained)


def point_entries(decided: Decided, seconds: Sequence[CostProfile] = ()) -> dict[str, Any]:
    """What was decided, by the manifest's names: costs, operating points, aliases and report."""
    return {
        "costs": tuple(map(cost_entry, (decided.cost, *seconds))),
        "operating_points": tuple(map(operating_entry, decided.points)),
        "aliases": decided.aliases,
        "report": tuple(map(operating_entry, decided.report)),
    }


def split_entry(options: Options, parts: Parts) -> SplitEntry:
    """How the data was divided, as the manifest keeps it."""
    return SplitEntry(
        seed=options.seed,
        shares=dict(zip(PARTS, options.shares.values(), strict=True)),
        counts={part: len(indices) for part, indices in parts.items()},
    )


def tensors_of(module: nn.Module) -> dict[str, torch.Tensor]:
    """Copies of weights and buffers by name, as files keep them."""
    return {name: tensor.cpu().contiguous().clone() for name, tensor in module.state_dict().items()}


def _trained_entry(
    multi_exit: MultiExit, options: Options, decided: Decided, spent: Sequence[Spent]
) -> TrainedEntry | None:
    chosen = options.chosen()
    if multi_exit.original is None or chosen.trunk is None:
        return None
    phases = chosen.trunk.regime(chosen.regime, len(multi_exit.exits)).phases
    return TrainedEntry(
        fingerprint=model_fingerprint(multi_exit.backbone.model),
        regime=chosen.regime,
        phases=tuple(
            PhaseEntry(name=phase.name, steps=one.steps, macs=one.macs)
            for phase, one in zip(phases, spent, strict=True)
        ),
        plain=decided.plain,
    )


def _exit_entry(multi_exit: MultiExit, index: int, calibrator: Calibrator, small: LoadedModel | None) -> ExitEntry:
    exit_, reduction = multi_exit.exits[index], multi_exit.head(index).reduction
    if isinstance(reduction, Answers) and isinstance(reduction.network, Pruned):
        return student_entry(exit_, reduction.network, calibrator)
    if isinstance(reduction, Answers):
        spec, weights = (None, None) if small is None else (small.spec, small.weights)
        return small_entry(exit_, reduction.network, spec, weights, calibrator)
    return exit_entry(exit_, head_type(exit_.head), calibrator)


def _model_entry(loaded: LoadedModel, backbone: Backbone, task: Task) -> ModelEntry:
    return ModelEntry(
        spec=loaded.spec,
        weights=loaded.weights,
        type=type(loaded.model).__name__,
        fingerprint=model_fingerprint(loaded.model),
        task=task.name,
        classes=backbone.classes,
        macs=backbone.macs,
        route="hooks" if backbone.graph is None else "graph",
    )


def _provenance(options: Options) -> dict[str, Any]:
    return {
        "offramp": version("offramp"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": f"{sys.platform} {platform.machine()}",
        "seed": options.seed,
        "recipe": asdict(options.chosen()),
        "guarantee": options.guarantee,
    }


def data_entry(source: Source) -> DataEntry:
    """A data set as the manifest keeps it."""
    return DataEntry(name=source.name, fingerprint=source.fingerprint(), samples=len(source), cut=cut_in(source))
