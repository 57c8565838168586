"""Heads on a backbone: attached, given features to look at, and trained."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from offramp import train
from offramp.errors import DataError
from offramp.gates.gate import Gate
from offramp.gates.jei import Jei
from offramp.heads import head_type
from offramp.heads.network import Answers
from offramp.inputs import tokens_of
from offramp.load.combine import subset
from offramp.model.augment import Augment
from offramp.model.backbone import Backbone
from offramp.model.cache import FeatureCache, Pass
from offramp.model.capture import LogitsOf
from offramp.model.fingerprint import model_fingerprint
from offramp.model.multi_exit import MultiExit
from offramp.model.pruned import Pruned, pruned_head, spared
from offramp.model.views import Views
from offramp.options import Options
from offramp.progress import Progress, silent
from offramp.recipes import Recipe
from offramp.sources import Labels, Source
from offramp.split import PARTS, Parts
from offramp.tasks.task import Task
from offramp.train.bilevel import Bilevel, BilevelFit
from offramp.train.fit import Fit, held_samples
from offramp.train.rows import Rows
from offramp.train.student import Lesson, Teaching
from offramp.types import INPUT, Exit, ExitPoint

AUGMENT_MACS = 1.2e13
"""Backbone MACs that augmented copies may cost at most: about three minutes on two cores."""


def check_labels(labels: Labels | None, chosen: Recipe, classes: int, extra: Sequence[Source]) -> None:
    """Refuses labels that are no classes of the model, and a recipe that cannot do with the labels there are.

    Raises:
        DataError: before any pass of the backbone.
    """
    needed = train.NAMES[chosen.regime].needs_labels
    if needed and labels is None:
        raise DataError(f"expected labels for the regime {chosen.regime!r}; pass labels=True (--labels), or use distil")
    if chosen.labels and labels is None:
        raise DataError("expected labels for this recipe, which searches with them; pass labels=True (--labels)")
    if needed and extra:
        raise DataError(f"expected no extra data with the regime {chosen.regime!r}, which needs labels; use distil")
    if labels is not None and not 0 <= labels.min() <= labels.max() < classes:
        raise DataError(
            f"expected labels in 0..{classes - 1}, the classes of the model, got {labels.min()}..{labels.max()}"
        )


def attach(backbone: Backbone, points: Sequence[ExitPoint], options: Options, logits_of: LogitsOf) -> MultiExit:
    """The backbone with the recipe's untrained heads at the given points, behind its student where it has one."""
    chosen, generator = options.chosen(), torch.Generator().manual_seed(options.seed)
    exits = tuple(Exit(point.name, head) for point in points for head in chosen.heads)
    shapes = {point.name: point.feature_shape for point in points}
    tokens = tokens_of(backbone.example)
    heads = [head_type(exit_.head).build(shapes[exit_.point], backbone.classes, generator, tokens) for exit_ in exits]
    if chosen.student is None:
        return MultiExit(backbone, exits, nn.ModuleList(heads))
    student = pruned_head(backbone, spared(backbone, chosen.student.share), logits_of)
    return MultiExit(backbone, (Exit(INPUT, "student"), *exits), nn.ModuleList([student, *heads]))


def record_training(
    multi_exit: MultiExit,
    task: Task,
    source: Source,
    extra: Sequence[Source],
    parts: Parts,
    options: Options,
    work: Path,
    progress: Progress = silent,
) -> list[Lesson]:
    """One backbone pass over the training part and its augmented copies; extra data counts as more of it."""
    small = replace(_pass(multi_exit, task, options), dtype="float16")
    sources = [subset(source, parts["train"]), *extra]
    chosen = options.chosen()
    augments = copies_within(chosen.augment, multi_exit.backbone, [len(s) for s in sources])
    held = held_samples(len(sources[0]), chosen.schedule.held, options.seed)
    found = []
    for i, (s, augment) in enumerate(zip(sources, augments, strict=True)):
        lend = ~np.isin(np.arange(len(s)), held) if i == 0 else np.ones(len(s), bool)
        views = Views(s, augment, lend, options.seed + i, options.batch_size)
        found.append(Lesson(views, small.over(views, work / f"train{i}", split="train", progress=progress)))
    return found


def record_parts(
    multi_exit: MultiExit,
    task: Task,
    source: Source,
    parts: Parts,
    options: Options,
    work: Path,
    progress: Progress = silent,
) -> dict[str, FeatureCache]:
    """One backbone pass over every part but the training one, for the heads behind the input."""
    passes, here = _pass(multi_exit, task, options), [part for part in PARTS[1:] if part in parts]
    return {part: passes.run(subset(source, parts[part]), work / part, split=part, progress=progress) for part in here}


def record_student(
    multi_exit: MultiExit,
    task: Task,
    source: Source,
    parts: Parts,
    options: Options,
    work: Path,
    caches: Mapping[str, FeatureCache],
    progress: Progress = silent,
) -> dict[str, FeatureCache]:
    """The caches with what the student says, where there is one; the backbone is not run."""
    found = dict(caches)
    if not multi_exit.exits or multi_exit.exits[0].point != INPUT:
        return found
    answers = multi_exit.head(0).reduction
    assert isinstance(answers, Answers)
    passes = Pass(answers.network, task.logits_of, [], answers.name, options.batch_size, stage="student")
    for part, cache in caches.items():
        folder = work / f"{part}-student"
        said = passes.run(subset(source, parts[part]), folder, split=part, progress=progress).logits
        found[part] = replace(cache, features={**cache.features, (INPUT, answers.name): said})
    return found


def _pass(multi_exit: MultiExit, task: Task, options: Options) -> Pass:
    model = multi_exit.backbone.model
    wanted = [pair for pair in multi_exit.wanted() if pair[0] != INPUT]
    return Pass(model, task.logits_of, wanted, model_fingerprint(model), batch_size=options.batch_size)


def copies_within(augment: Augment, backbone: Backbone, samples: Sequence[int]) -> list[Augment]:
    """The augmentation of each source, with as many copies as `AUGMENT_MACS` allows; none but for images."""
    example = backbone.example
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
    lessons: Sequence[Lesson],
    chosen: Recipe,
    labels: Labels | None,
    parts: Parts,
    options: Options,
    work: Path,
    progress: Progress = silent,
) -> Gate | None:
    """Trains the heads behind the input in place on the training part; returns the gate where one learns with them."""
    regime = train.NAMES[chosen.regime]
    inner = [index for index, exit_ in enumerate(multi_exit.exits) if exit_.point != INPUT]
    heads, all_keys = [multi_exit.head(index) for index in inner], multi_exit.keys()
    keys = [all_keys[index] for index in inner]
    rows = Rows(tuple(lesson.cache for lesson in lessons))
    known = labels[parts["train"]] if labels is not None and regime.needs_labels else None
    if isinstance(regime, Bilevel):
        costs = multi_exit.macs(Jei()).leaving(np.ones(len(inner), bool))
        return BilevelFit(heads, keys, (costs / costs[-1]).tolist(), regime, options.seed).run(rows, known, progress)
    if heads:
        checkpoint = work / f"heads-{_training(multi_exit, lessons, chosen, labels, options)}.checkpoint"
        Fit(heads, keys, regime, chosen.schedule, options.seed, checkpoint).run(rows, known, progress)
    return None


def teach_student(
    multi_exit: MultiExit,
    lessons: Sequence[Lesson],
    chosen: Recipe,
    options: Options,
    work: Path,
    progress: Progress = silent,
) -> None:
    """Teaches the student at the input in place, where the recipe has one, to answer as the backbone does."""
    if chosen.student is None:
        return
    answers = multi_exit.head(0).reduction
    assert isinstance(answers, Answers)
    assert isinstance(answers.network, Pruned)
    told = repr((answers.network.left_out, chosen.student, len(lessons)))
    name = hashlib.sha256(told.encode() + _training(multi_exit, lessons, chosen, None, options).encode()).hexdigest()
    held = held_samples(len(lessons[0].views.source), chosen.schedule.held, options.seed)
    checkpoint = work / f"student-{name[:16]}.checkpoint"
    Teaching(answers.network, lessons, chosen.student.course, held, options.seed, checkpoint).run(progress)


def _training(
    multi_exit: MultiExit,
    lessons: Sequence[Lesson],
    chosen: Recipe,
    labels: Labels | None,
    options: Options,
) -> str:
    """Names all that decides how heads come out, so that only the same training goes on from a checkpoint."""
    digest = hashlib.sha256(repr((multi_exit.exits, chosen.regime, chosen.schedule, options.seed)).encode())
    for lesson in lessons:
        digest.update(np.ascontiguousarray(lesson.cache.logits).tobytes())
    if labels is not None:
        digest.update(labels.tobytes())
    return digest.hexdigest()[:16]
