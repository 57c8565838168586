"""The happy path: a model and unlabelled inputs in, a certified bundle out.

`build` is nothing but a list of steps; `offramp build --explain` prints them.
"""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from offramp.assembly import assemble
from offramp.bundle import MANIFEST, Bundle
from offramp.deciding import decide
from offramp.errors import BundleError, InputError
from offramp.head_search import JOURNAL, found_heads, heads_at
from offramp.inputs import Inputs, check_like, select
from offramp.learning import (
    attach,
    check_labels,
    check_small,
    record_networks,
    record_parts,
    record_training,
    train_backbone,
    train_heads,
)
from offramp.load.models import LoadedModel, load_model
from offramp.load.small import entry_of
from offramp.load.sources import open_source
from offramp.load.trial import tried
from offramp.meant import meant
from offramp.measuring import profiles
from offramp.model.points import analyse
from offramp.options import Options
from offramp.placing import places
from offramp.progress import Progress, silent
from offramp.reading import reader
from offramp.sources import Source
from offramp.students import teach_students
from offramp.train.ensemble import fit_ensembles

TYPICAL = 64
"""Samples that say how long texts are."""

WORK = ".build"
"""Folder inside the bundle that holds an unfinished build; removed when the bundle is complete."""


def build(
    model: nn.Module | LoadedModel | str,
    data: Any,
    *,
    out: str | Path,
    weights: str | Path | None = None,
    extra_data: Sequence[Any] = (),
    small: nn.Module | LoadedModel | str | None = None,
    small_weights: str | Path | None = None,
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
        small: a small model that answers first, and the backbone only the rest: a module, or what `load_model` takes;
            left as it was found. It is given what the backbone is, and is not trained.
        small_weights: file for its weights, where `small` is a string.
        options: all wishes at once.
        overwrite: whether a bundle that is already in `out` may be replaced.
        progress: told how far the work is.
        wishes: single fields of `Options`, such as `max_drop=0.02`.

    Raises:
        DataError: if the data cannot be used.
        InputError: if a small model is needed and not given, or only its weights are, or it does not take what the
            backbone takes.
        CaptureError: if the model cannot be left early.
        BundleError: if `out` cannot be written, or holds a bundle already.
    """
    options = replace(options or Options(), **wishes)
    chosen = options.chosen()
    check_small(chosen, small is not None)
    if small_weights is not None and not isinstance(small, str):
        raise InputError(
            "expected weights of a small model that is named; pass small= (--small SPEC), or leave them out"
        )
    work = _work_folder(Path(out), overwrite)
    loaded = _loaded(model, weights)
    first = None if small is None else _loaded(small, small_weights)
    source = open_source(data, loaded.preprocess)
    extra = [open_source(more, loaded.preprocess) for more in extra_data]
    parts = options.shares.divide(len(source), options.seed)
    progress("capturing the model", 0, 1)
    example = tried(loaded.model, example_of(source), source.name)
    for more in extra:
        check_like(more.inputs(np.arange(1)), example, more.name)
    task = meant(options, loaded.model, example, loaded.preprocess)
    options = replace(options, task=task.name)
    chosen = options.chosen()
    check_small(chosen, small is not None, task)
    backbone = analyse(loaded.model, example, reader(task), nowhere=chosen.needs_small)
    progress("capturing the model", 1, 1)
    labels = task.checked(source.labels(), backbone.classes) if options.labels else None
    check_labels(labels, chosen, extra)
    entry = None if first is None else entry_of(first, loaded.preprocess, backbone, reader(task))
    points = places(backbone, task, source, parts, options, work)
    journal = Path(out) / JOURNAL
    found = found_heads(backbone, task, source, points, labels, parts, options, work, progress, journal)
    multi_exit = attach(backbone, points, options, reader(task), heads_at(found), entry)
    multi_exit, spent = train_backbone(multi_exit, task, source, labels, parts, options, work, progress)
    caches = record_parts(multi_exit, task, source, parts, options, work, progress)
    task = task.settled(caches["choose"].logits)
    lessons = record_training(multi_exit, task, source, extra, parts, options, work, progress)
    gate = train_heads(multi_exit, lessons, chosen, labels, parts, options, work, progress).gate
    teach_students(multi_exit, task, lessons, options, work, progress)
    caches = record_networks(multi_exit, task, source, parts, options, work, caches, progress)
    fit_ensembles(multi_exit, caches["choose"], task, None if labels is None else labels[parts["choose"]])
    recordings = {part: multi_exit.record(cache) for part, cache in caches.items()}
    decided = decide(multi_exit, recordings, task, labels, parts, options, gate)
    seconds = profiles(multi_exit, decided, task, source, parts, options, progress)
    bundle = assemble(loaded, multi_exit, source, extra, parts, options, decided, seconds, task, first, spent, found)
    bundle.save(out)
    shutil.rmtree(work)
    return bundle


def example_of(source: Source) -> Inputs:
    """Two samples as they come in a batch: texts with as much padding as among `TYPICAL` texts of the source."""
    some = source.inputs(np.linspace(0, len(source) - 1, min(TYPICAL, len(source))).astype(np.int64))
    return select(some, torch.arange(min(2, len(source))))


def _work_folder(out: Path, overwrite: bool) -> Path:
    """Where an unfinished build is kept, in a folder that was found to be writable."""
    if (out / MANIFEST).exists() and not overwrite:
        raise BundleError(f"expected an empty folder, got {out} with a bundle in it; choose another, or pass overwrite")
    work = out / WORK
    made = [folder for folder in (work, *work.parents) if not folder.exists()]
    try:
        work.mkdir(parents=True, exist_ok=True)
        probe = work / "probe"
        probe.write_bytes(b"offramp")
        probe.unlink()
        for folder in made:  # deepest first; a build that is refused later leaves nothing behind
            folder.rmdir()
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
