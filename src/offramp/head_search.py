"""The head of each point, searched for before any is trained in earnest (SelfXit's NAS, section 3.2.1).

The backbone runs once over the training part, for all that any head of the space looks at; trials read from there. The
parts that choose, certify and report are not touched.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from offramp.errors import InputError
from offramp.head_study import PURPOSE, Study
from offramp.head_trial import Judged, Trials, halves, labels_of
from offramp.heads import head_type
from offramp.inputs import tokens_of
from offramp.load.combine import subset
from offramp.load.optional import require
from offramp.model.backbone import Backbone
from offramp.model.cache import FeatureCache, Pass
from offramp.model.fingerprint import model_fingerprint
from offramp.model.multi_exit import MultiExit
from offramp.options import Options
from offramp.progress import Progress, silent
from offramp.reading import reader
from offramp.recipe import HeadSearch, Recipe
from offramp.sources import Labels, Source
from offramp.split import Parts
from offramp.tasks.task import Task
from offramp.types import Exit, ExitPoint

JOURNAL = "head_search.log"
"""File of the studies, in the folder of a bundle; `optuna-dashboard` reads it."""


@dataclass(frozen=True)
class FoundHead:
    """What a search found at one point.

    Attributes:
        point: its name.
        depth: share of the backbone's MACs before it.
        best: the head with the largest saving.
        own: the best among the recipe's own heads, as what every point gets without a search.
        kept: whether the point keeps a head; one where nothing is saved does not, unless it is the best of all.
        trials: how many were finished.
        importance: share of the variance of the saving that each property of a head explains.
    """

    point: str
    depth: float
    best: Judged
    own: Judged
    kept: bool
    trials: int
    importance: Mapping[str, float]


def heads_at(found: Sequence[FoundHead]) -> dict[str, tuple[str, ...]] | None:
    """The heads that each point gets; None where none were searched for."""
    return {one.point: (one.best.head,) for one in found if one.kept} or None


def found_heads(
    backbone: Backbone,
    task: Task,
    source: Source,
    points: Sequence[ExitPoint],
    labels: Labels | None,
    parts: Parts,
    options: Options,
    work: Path,
    progress: Progress = silent,
    journal: Path | None = None,
) -> tuple[FoundHead, ...]:
    """The best head of each point, by depth; none where the recipe does not search.

    Ctrl-C loses the trial under way: called again with the same arguments, or with more trials, it goes on.

    Args:
        backbone: the analysed model.
        task: compares answers.
        source: the data, of which only the training part is looked at.
        points: where heads may be.
        labels: of all samples, where the recipe reads them.
        parts: which samples are the training part.
        options: the recipe, the tolerance and the seed.
        work: folder of cached features.
        progress: told about every trial.
        journal: file of the studies; default: in `work`.

    Raises:
        InputError: if what the extra `search` installs is missing, or there are no points.
        DataError: if there are too few samples.
    """
    chosen = options.chosen()
    search = chosen.head_search
    if search is None:
        return ()
    if not points:
        raise InputError(
            "expected exit points to search heads for, this recipe has none; leave out the search (--search-heads), or "
            "name --points"
        )
    for package in ("optuna", "sklearn"):
        require(package, PURPOSE)
    samples = _some(parts["train"], search.samples, options.seed)
    known = None if labels is None else labels_of(labels[samples], search.judged, options.seed)
    identity = _identity(backbone, source, samples, labels, options)
    features = cache(partial(_features, backbone, task, subset(source, samples), points, options, work, progress))
    rows = []
    for index, point in enumerate(points):
        halved = cache(partial(_halves, features, point.name, search, options.seed))
        trials = Trials(backbone, point, chosen, search, task, halved, known, options.max_drop, options.seed)
        study = Study.open(trials, journal or work / JOURNAL, identity)
        while (done := study.finished) < search.trials:
            progress("searching heads", index * search.trials + done, len(points) * search.trials)
            study.next()
        rows.append(_row(point, study, chosen))
    progress("searching heads", len(points) * search.trials, len(points) * search.trials)
    most = max(row.best.saving for row in rows)
    return tuple(replace(row, kept=row.best.saving > 0.0 or row.best.saving == most) for row in rows)


def _row(point: ExitPoint, study: Study, chosen: Recipe) -> FoundHead:
    ranked = study.ranked()
    own = next(one for one in ranked if one.head in chosen.heads)
    return FoundHead(point.name, point.depth, ranked[0], own, True, study.finished, study.importance())


def _some(train: np.ndarray, most: int, seed: int) -> np.ndarray:
    """At most so many samples of the training part, drawn by the seed, in order."""
    return np.sort(np.random.default_rng(seed).permutation(train)[:most])


def _features(
    backbone: Backbone,
    task: Task,
    source: Source,
    points: Sequence[ExitPoint],
    options: Options,
    work: Path,
    progress: Progress,
) -> FeatureCache:
    """One pass of the backbone for all that the recipe's heads and those of the space look at."""
    wanted = _everything(backbone, points, options.chosen()).wanted()
    told = hashlib.sha256(repr(wanted).encode()).hexdigest()[:8]
    passes = Pass(
        backbone.model, reader(task), wanted, model_fingerprint(backbone.model), options.batch_size, "float16"
    )
    return passes.run(source, work / f"search-{told}", split="train", progress=progress)


def _everything(backbone: Backbone, points: Sequence[ExitPoint], chosen: Recipe) -> MultiExit:
    search = chosen.head_search
    assert search is not None
    shapes, tokens, nowhere = {p.name: p.feature_shape for p in points}, tokens_of(backbone.example), torch.Generator()
    exits = [Exit(name, head) for name, shape in shapes.items() for head in (*chosen.heads, *search.space.looks(shape))]
    heads = [head_type(e.head).build(shapes[e.point], backbone.classes, nowhere, tokens) for e in exits]
    return MultiExit(backbone, tuple(exits), nn.ModuleList(heads))


def _halves(features: Callable[[], FeatureCache], point: str, search: HeadSearch, seed: int) -> dict[str, FeatureCache]:
    return halves(features(), point, search.judged, seed)


def _identity(backbone: Backbone, source: Source, samples: np.ndarray, labels: Labels | None, options: Options) -> str:
    """Names all that a trial depends on: how many there are is not among it."""
    chosen = options.chosen()
    assert chosen.head_search is not None
    search = replace(chosen.head_search, trials=1)
    asked = (search, chosen.heads, chosen.regime, chosen.gate, chosen.calibrator, chosen.labels)
    told = (model_fingerprint(backbone.model), source.fingerprint(), asked, options.max_drop, options.seed)
    digest = hashlib.sha256(repr(told).encode() + np.ascontiguousarray(samples).tobytes())
    digest.update(b"" if labels is None else np.ascontiguousarray(labels).tobytes())
    return digest.hexdigest()[:16]
