"""The happy path: a model and unlabelled inputs in, a certified bundle out.

`build` is nothing but the steps below it in order; each can be called alone (`docs/steps.md`).
"""

import platform
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import nn

from offramp import calibrate, search, tasks, train
from offramp.bundle import MANIFEST, Bundle
from offramp.calibrate.calibrator import Calibrator
from offramp.decide.certify import certify
from offramp.decide.replay import operating_point
from offramp.entries import cost_entry, exit_entry, input_entries, operating_entry, point_entry
from offramp.errors import BundleError, DataError
from offramp.gates import gate
from offramp.heads import head_type
from offramp.kept import named, worth_keeping
from offramp.load.combine import subset
from offramp.load.models import LoadedModel, load_model
from offramp.load.sources import open_source
from offramp.manifest import DataEntry, Manifest, ModelEntry, SplitEntry
from offramp.model.augment import Augment
from offramp.model.cache import FeatureCache, Pass
from offramp.model.fingerprint import model_fingerprint
from offramp.model.multi_exit import MultiExit, Recording
from offramp.model.points import Backbone, analyse, spread
from offramp.progress import Progress, silent
from offramp.recipes import Recipe, recipe
from offramp.sources import Source
from offramp.split import PARTS, Parts, Shares
from offramp.tasks.task import Task
from offramp.train.fit import Fit
from offramp.train.rows import Rows
from offramp.types import CostProfile, Exit, ExitTable, Goal, OperatingPoint

WORK = ".build"
"""Folder inside the bundle that holds an unfinished build; removed when the bundle is complete."""

AUGMENT_MACS = 1.0e13
"""Backbone MACs that augmented copies may cost at most: two or three minutes on two cores."""

Labels = Int[np.ndarray, " samples"]


@dataclass(frozen=True)
class Options:
    """What a build is asked for.

    Attributes:
        max_drop: largest excess risk wanted, a share (0.01 = one percent).
        delta: probability that any certificate of the bundle fails.
        shares: the parts train / choose / certify / report.
        recipe: a name in `recipes.NAMES`, or a recipe.
        labels: whether labels may be read: heads learn from them and the risk is error instead of disagreement.
        seed: of the split, the heads and the augmentation.
        batch_size: samples per backbone pass.
    """

    max_drop: float = 0.01
    delta: float = 0.1
    shares: Shares = field(default_factory=Shares)
    recipe: Recipe | str | None = None
    labels: bool = False
    seed: int = 0
    batch_size: int = 128

    def chosen(self) -> Recipe:
        """The recipe: the one given, or the default one with or without labels."""
        if isinstance(self.recipe, Recipe):
            return self.recipe
        return recipe(self.recipe or ("labels" if self.labels else "default"))


def build(
    model: nn.Module | LoadedModel | str,
    data: Any,
    *,
    out: str | Path,
    weights: str | Path | None = None,
    extra_data: Sequence[Any] = (),
    options: Options | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
    **wishes: Any,
) -> Bundle:
    """A certified bundle in the folder `out`, ready to use.

    An interrupted build goes on where it was when it is called again with the same arguments.

    Args:
        model: a module, or what `load_model` takes; left as it was found.
        data: unlabelled inputs: a tensor, an array, a dataset, or what `open_source` takes.
        out: folder of the bundle; it may hold an unfinished build.
        weights: file for the weights, where `model` is a string.
        extra_data: more unlabelled inputs, used to train heads and for nothing else.
        options: all wishes at once.
        overwrite: whether a bundle that is already in `out` may be replaced.
        progress: told how far the work is.
        wishes: single fields of `Options`, such as `max_drop=0.02`.

    Raises:
        DataError: if the data cannot be used.
        CaptureError: if the model cannot be left early.
        BundleError: if `out` cannot be written, or holds a bundle already.
    """
    options = replace(options or Options(), **wishes)
    chosen = options.chosen()
    Goal(options.max_drop)
    work = _work_folder(Path(out), overwrite)
    loaded = _loaded(model, weights)
    source = open_source(data, loaded.preprocess)
    extra = [open_source(more, loaded.preprocess) for more in extra_data]
    task: Task = tasks.NAMES["classification"]
    labels = source.labels() if options.labels else None
    parts = options.shares.divide(len(source), options.seed)
    progress("capturing the model", 0, 1)
    backbone = analyse(loaded.model, source.inputs(np.arange(min(2, len(source)))), task.logits_of)
    progress("capturing the model", 1, 1)
    multi_exit = attach(backbone, chosen, _classes(backbone), options.seed)
    caches = record_features(multi_exit, task, source, extra, parts, options, work, progress)
    train_heads(multi_exit, caches, chosen, labels, parts, options, work, progress)
    recordings = {part: multi_exit.record(caches[part][0]) for part in PARTS[1:]}
    decided = decide(multi_exit, recordings, task, labels, parts, options)
    bundle = _bundle(loaded, multi_exit, source, extra, parts, options, decided, task)
    bundle.save(out)
    shutil.rmtree(work)
    return bundle


def attach(backbone: Backbone, chosen: Recipe, classes: int, seed: int) -> MultiExit:
    """The backbone with the recipe's untrained heads at evenly spread points."""
    generator = torch.Generator().manual_seed(seed)
    points = spread(backbone.points, chosen.points)
    exits = tuple(Exit(point.name, head) for point in points for head in chosen.heads)
    shapes = {point.name: point.feature_shape for point in points}
    heads = [head_type(exit_.head).build(shapes[exit_.point], classes, generator) for exit_ in exits]
    return MultiExit(backbone, exits, nn.ModuleList(heads))


def record_features(
    multi_exit: MultiExit,
    task: Task,
    source: Source,
    extra: Sequence[Source],
    parts: Parts,
    options: Options,
    work: Path,
    progress: Progress,
) -> dict[str, list[FeatureCache]]:
    """One backbone pass over every part; extra data counts as more of the training part."""
    identity = model_fingerprint(multi_exit.backbone.model)
    passes = Pass(
        multi_exit.backbone.model,
        task.logits_of,
        multi_exit.wanted(),
        identity,
        batch_size=options.batch_size,
    )
    small = replace(passes, dtype="float16")
    caches: dict[str, list[FeatureCache]] = {}
    for part in PARTS[1:]:
        here = subset(source, parts[part])
        caches[part] = [passes.run(here, work / part, split=part, progress=progress)]
    sources = [subset(source, parts["train"]), *extra]
    augments = copies_within(options.chosen().augment, multi_exit.backbone, [len(s) for s in sources])
    caches["train"] = [
        small.run(s, work / f"train{i}", split="train", augment=augment, seed=options.seed + i, progress=progress)
        for i, (s, augment) in enumerate(zip(sources, augments, strict=True))
    ]
    return caches


def copies_within(augment: Augment, backbone: Backbone, samples: Sequence[int]) -> list[Augment]:
    """The augmentation of each source, with as many copies as `AUGMENT_MACS` allows; none but for images."""
    example = backbone.captured.example
    images = isinstance(example, torch.Tensor) and example.ndim == 4
    left = AUGMENT_MACS if images else 0.0
    found = []
    for count in samples:
        copies = min(augment.copies, int(left / (backbone.macs * count)))
        left -= copies * backbone.macs * count
        found.append(replace(augment, copies=copies))
    return found


def train_heads(
    multi_exit: MultiExit,
    caches: dict[str, list[FeatureCache]],
    chosen: Recipe,
    labels: Labels | None,
    parts: Parts,
    options: Options,
    work: Path,
    progress: Progress,
) -> list[float]:
    """Trains the heads in place on the training part; returns each head's best held-out loss."""
    regime = train.NAMES[chosen.regime]
    if regime.needs_labels and len(caches["train"]) > 1:
        raise DataError(f"expected no extra data with the regime {chosen.regime!r}, which needs labels; use distil")
    fit = Fit(
        heads=[multi_exit.head(index) for index in range(len(multi_exit.exits))],
        keys=multi_exit.keys(),
        regime=regime,
        schedule=chosen.schedule,
        seed=options.seed,
        checkpoint=work / "heads.checkpoint",
    )
    known = None if labels is None else labels[parts["train"]]
    return fit.run(Rows(tuple(caches["train"])), known if regime.needs_labels else None, progress)


@dataclass(frozen=True, eq=False)
class Decided:
    """Calibrators, costs, and the certified operating points with their figures on the report part."""

    calibrators: tuple[Calibrator, ...]
    cost: CostProfile
    points: tuple[OperatingPoint, ...]
    report: tuple[OperatingPoint, ...]
    risk: str


def decide(
    multi_exit: MultiExit,
    recordings: dict[str, Recording],
    task: Task,
    labels: Labels | None,
    parts: Parts,
    options: Options,
) -> Decided:
    """Calibrates and searches on the choose part, proves on the certify part, and measures on the report part."""
    chosen = options.chosen()
    choose = recordings["choose"]
    target = task.predict(choose.reference) if labels is None else labels[parts["choose"]]
    start = calibrate.NAMES[chosen.calibrator]()
    calibrators = tuple(start.fit(logits, target) for logits in choose.outputs[:-1])
    cost = multi_exit.macs()
    tables = {
        part: table(recording, task, chosen.gate, calibrators, cost, None if labels is None else labels[parts[part]])
        for part, recording in recordings.items()
    }
    path = search.NAMES[chosen.searcher]().search(tables["choose"], Goal(options.max_drop))
    points = [operating_point(tables["choose"], found, f"p{index:02d}") for index, found in enumerate(path)]
    certified = certify(points, tables["certify"], options.max_drop, options.delta)
    kept = named(worth_keeping(certified), options.max_drop)
    report = tuple(operating_point(tables["report"], point.configuration, point.name) for point in kept)
    return Decided(calibrators, cost, kept, report, tables["choose"].risk)


def table(
    recording: Recording,
    task: Task,
    gate_name: str,
    calibrators: Sequence[Calibrator],
    cost: CostProfile,
    labels: Labels | None = None,
) -> ExitTable:
    """Scores and losses of a recording: disagreement with the backbone, or error where labels are given."""
    if labels is None:
        loss, risk = task.disagreement(recording.outputs, recording.reference), "disagreement"
    else:
        loss, risk = task.error(recording.outputs, labels), "error"
    scores = recording.scores(gate(gate_name), calibrators)
    return ExitTable(scores, loss.astype(np.float64), cost, recording.split, risk)


def _work_folder(out: Path, overwrite: bool) -> Path:
    if (out / MANIFEST).exists() and not overwrite:
        raise BundleError(f"expected an empty folder, got {out} with a bundle in it; choose another, or pass overwrite")
    work = out / WORK
    try:
        work.mkdir(parents=True, exist_ok=True)
        probe = work / "probe"
        probe.write_bytes(b"offramp")
        probe.unlink()
    except OSError as error:
        raise BundleError(
            f"cannot write to {out}: {error.strerror or error}; choose a folder that can be written"
        ) from error
    return work


def _loaded(model: nn.Module | LoadedModel | str, weights: str | Path | None) -> LoadedModel:
    if isinstance(model, LoadedModel):
        return model
    if isinstance(model, str):
        return load_model(model, weights)
    return LoadedModel(model, None, None)


def _classes(backbone: Backbone) -> int:
    return int(backbone.captured.logits.meta["val"].shape[1])


def _bundle(
    loaded: LoadedModel,
    multi_exit: MultiExit,
    source: Source,
    extra: Sequence[Source],
    parts: Parts,
    options: Options,
    decided: Decided,
    task: Task,
) -> Bundle:
    chosen = options.chosen()
    backbone = multi_exit.backbone
    manifest = Manifest(
        schema_version=1,
        model=ModelEntry(
            spec=loaded.spec,
            weights=loaded.weights,
            type=type(loaded.model).__name__,
            fingerprint=model_fingerprint(loaded.model),
            task=task.name,
            classes=_classes(backbone),
            macs=backbone.macs,
        ),
        inputs=input_entries(backbone.captured.example),
        preprocess=None if loaded.preprocess is None else loaded.preprocess.to_manifest(),
        points=tuple(point_entry(point) for point in multi_exit.points),
        exits=tuple(
            exit_entry(exit_, head_type(exit_.head), calibrator)
            for exit_, calibrator in zip(multi_exit.exits, decided.calibrators, strict=True)
        ),
        gate=chosen.gate,
        costs=(cost_entry(decided.cost),),
        risk=decided.risk,
        goal={"max_drop": options.max_drop, "delta": options.delta},
        operating_points=tuple(operating_entry(point) for point in decided.points),
        report=tuple(operating_entry(point) for point in decided.report),
        data=_data_entry(source),
        extra_data=tuple(_data_entry(more) for more in extra),
        split=SplitEntry(
            seed=options.seed,
            shares=dict(zip(PARTS, options.shares.values(), strict=True)),
            counts={part: len(indices) for part, indices in parts.items()},
        ),
        provenance={
            "offramp": version("offramp"),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "platform": f"{sys.platform} {platform.machine()}",
            "seed": options.seed,
            "recipe": asdict(chosen),
        },
    )
    heads = {name: tensor.contiguous() for name, tensor in multi_exit.heads.state_dict().items()}
    return Bundle(manifest, heads, {part: indices.astype(np.int64) for part, indices in parts.items()}, multi_exit)


def _data_entry(source: Source) -> DataEntry:
    return DataEntry(name=source.name, fingerprint=source.fingerprint(), samples=len(source))
