"""A bundle's heads taught further on what a server was asked lately, and certified anew, without labels."""

import copy
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import nn

from offramp.assembly import data_entry, point_entries, split_entry, tensors_of
from offramp.bundle import Bundle
from offramp.calibration_entries import calibration_entry
from offramp.decide import guarantees
from offramp.decide.replay import operating_point
from offramp.deciding import Decided, decide, table
from offramp.entries import gate_entry
from offramp.errors import BundleError, InputError
from offramp.heads.network import Answers
from offramp.learning import record_networks, record_parts, record_training, train_heads
from offramp.load.trial import check_taken
from offramp.manifest import Manifest, SplitEntry
from offramp.model.augment import Augment
from offramp.model.multi_exit import MultiExit, Recording
from offramp.options import Options
from offramp.progress import Progress, silent
from offramp.recipe import Recipe
from offramp.sources import Source
from offramp.split import PARTS, Shares
from offramp.train.ensemble import fit_ensembles
from offramp.train.fit import Schedule
from offramp.types import OperatingPoint

KEEP = 16
"""Operating points kept at least, where that many are certified."""

WORK = ".refit"
"""Folder inside the new bundle that holds unfinished work."""


@dataclass(frozen=True)
class Refitted:
    """A bundle before and after.

    Attributes:
        bundle: the new one, saved, attached to the same backbone.
        before: the operating points of the old one, as measured on the new report part.
        after: those of the new one, on the same.
    """

    bundle: Bundle
    before: tuple[OperatingPoint, ...]
    after: tuple[OperatingPoint, ...]


def refit(
    bundle: Bundle,
    source: Source,
    *,
    out: str | Path,
    extra: Sequence[Source] = (),
    shares: Shares | None = None,
    train: bool = True,
    seed: int | None = None,
    progress: Progress = silent,
) -> Refitted:
    """Heads that go on learning from where they are, by distillation, and operating points that are certified anew.

    The backbone, the places of the exits and what was wanted (largest drop, delta, guarantee) stay. Heads that are
    networks, such as students, stay as they are, but are calibrated, chosen and certified anew.

    Args:
        bundle: attached to its backbone; its own heads stay as they are.
        source: unlabelled inputs as they come now.
        out: empty folder of the new bundle, or one of this very refit that was interrupted.
        extra: more unlabelled inputs to teach heads with.
        shares: the parts train / choose / certify / report; default as of a build.
        train: whether heads learn; otherwise all that changes is calibration, exits, thresholds and certificates.
        seed: of the split; default that of the build.
        progress: told how far it is.

    Raises:
        InputError: if the bundle is not attached, or bounds the loss of accuracy, for which there are no labels.
        DataError: if the data is not such as the model takes, or there is too little of it.
        BundleError: if `out` has something else in it.
    """
    manifest, out = bundle.manifest, Path(out)
    if manifest.risk != "disagreement":
        raise InputError(
            f"expected a bundle whose certificates are about disagreement, got {manifest.risk}, for which labels are "
            "needed; build a new one with labelled data"
        )
    options = _options(bundle, seed, shares)
    work = _work(out)
    multi_exit = _copied(bundle.live.multi_exit)
    example = multi_exit.backbone.example
    for one in (source, *extra):
        check_taken(multi_exit.backbone.model, one.inputs(np.arange(1)), example, one.name)
    parts = options.shares.divide(len(source), options.seed)
    task = bundle.task
    caches = record_parts(multi_exit, task, source, parts, options, work, progress)
    caches = record_networks(multi_exit, task, source, parts, options, work, caches, progress)
    earlier = bundle.live.multi_exit.record(caches["report"])
    if train:
        lessons = record_training(multi_exit, task, source, extra, parts, options, work, progress)
        train_heads(multi_exit, lessons, options.chosen(), None, parts, options, work, progress, onward=True)
        fit_ensembles(multi_exit, caches["choose"], task, None)
    recordings = {part: multi_exit.record(cache) for part, cache in caches.items()}
    learned = bundle.gate if options.chosen().gate == "jei" else None
    decided = decide(multi_exit, recordings, task, None, parts, options, learned)
    found = replace(
        bundle,
        manifest=_manifest(bundle, decided, source, extra, split_entry(options, parts), train),
        heads=tensors_of(multi_exit.heads),
        splits={part: indices.astype(np.int64) for part, indices in parts.items()},
        multi_exit=multi_exit,
    )
    found.save(out)
    shutil.rmtree(work)
    return Refitted(found, _again(bundle, earlier), decided.report)


def _options(bundle: Bundle, seed: int | None, shares: Shares | None) -> Options:
    """What the bundle was built for, with heads that are taught by distillation."""
    manifest = bundle.manifest
    told = manifest.provenance["recipe"]
    recipe = Recipe(
        heads=tuple(told["heads"]),
        points=int(told["points"]),
        regime="distil",
        augment=Augment(**told["augment"]),
        schedule=Schedule(**told["schedule"]),
        gate=told["gate"],
        calibrator=told["calibrator"],
        searcher=told["searcher"],
        source="refit",
    )
    return Options(
        max_drop=manifest.goal["max_drop"],
        delta=manifest.goal["delta"],
        shares=shares or Shares(*(manifest.split.shares[part] for part in PARTS)),
        recipe=recipe,
        seed=manifest.split.seed if seed is None else seed,
        keep=max(KEEP, len(bundle.points)),
        guarantee=manifest.provenance.get("guarantee", guarantees.DEFAULT),
        task=manifest.model.task,
    )


def _copied(multi_exit: MultiExit) -> MultiExit:
    """With heads that may learn; networks, which do not, are shared."""
    heads = [multi_exit.head(index) for index in range(len(multi_exit.exits))]
    own = (head if isinstance(head.reduction, Answers) else copy.deepcopy(head) for head in heads)
    return replace(multi_exit, heads=nn.ModuleList(own))


def _work(out: Path) -> Path:
    """The folder of unfinished work.

    Raises:
        BundleError: if there is something else in `out`, or it cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(path.name != WORK for path in out.iterdir())):
        raise BundleError(f"expected an empty folder, got {out} with something in it; choose another")
    try:
        (out / WORK).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BundleError(f"cannot write to {out}: {error.strerror}; choose a folder that can be written") from error
    return out / WORK


def _manifest(
    bundle: Bundle, decided: Decided, source: Source, extra: Sequence[Source], split: SplitEntry, train: bool
) -> Manifest:
    old = bundle.manifest
    exits = tuple(
        entry.model_copy(update={"calibration": calibration_entry(by)})
        for entry, by in zip(old.exits, decided.calibrators, strict=True)
    )
    return old.model_copy(
        update={
            "exits": exits,
            "gate": gate_entry(decided.gate),
            **point_entries(decided),
            "data": data_entry(source),
            "extra_data": tuple(map(data_entry, extra)),
            "split": split,
            "provenance": {
                **{key: value for key, value in old.provenance.items() if key != "tuned"},
                "refit": {"of": old.data.model_dump(), "trained": train},
            },
        }
    )


def _again(bundle: Bundle, report: Recording) -> tuple[OperatingPoint, ...]:
    """The points of a bundle on other data."""
    known = table(report, bundle.task, bundle.gate, bundle.calibrators, bundle.cost)
    return tuple(
        replace(operating_point(known, point.configuration, point.name), bound=point.bound) for point in bundle.points
    )
