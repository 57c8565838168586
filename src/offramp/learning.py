"""Heads on a backbone: attached, given features to look at, and trained."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from offramp import train
from offramp.errors import DataError, InputError
from offramp.gates.gate import Gate
from offramp.gates.jei import Jei
from offramp.heads import head_type
from offramp.heads.head import Head
from offramp.heads.network import Answers
from offramp.inputs import device_of, tokens_of
from offramp.load.combine import subset
from offramp.model.augment import Augment
from offramp.model.backbone import Backbone
from offramp.model.behind import Behind
from offramp.model.cache import FeatureCache, Pass
from offramp.model.capture import LogitsOf
from offramp.model.fingerprint import model_fingerprint
from offramp.model.multi_exit import MultiExit
from offramp.model.pruned import Pruned, pruned_head, spared
from offramp.model.views import Views
from offramp.options import Options
from offramp.progress import Progress, silent
from offramp.recipes import Recipe, Student
from offramp.sources import Labels, Source
from offramp.split import PARTS, Parts
from offramp.tasks.task import Task
from offramp.train.bilevel import Bilevel, BilevelFit
from offramp.train.fit import Fit, held_samples
from offramp.train.rows import Rows
from offramp.train.student import Course, Lesson, Teaching
from offramp.types import INPUT, Exit, ExitPoint

TEACH_MACS = 1.5e14
"""MACs that teaching a student may cost at most: about 25 minutes on two cores that compute in bfloat16."""

STUDENT = "student"
"""How heads that are copies of the backbone are called."""

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
    tokens = tokens_of(backbone.example)
    found = [
        (Exit(point.name, name), head_type(name).build(point.feature_shape, backbone.classes, generator, tokens))
        for point in points
        for name in chosen.heads
    ]
    for student in chosen.students:
        found += _student(backbone, student, logits_of)
    found.sort(key=lambda one: backbone.point(one[0].point).index)
    heads = nn.ModuleList(head for _, head in found).to(device_of(backbone.model))
    return MultiExit(backbone, tuple(exit_ for exit_, _ in found), heads)


def _student(backbone: Backbone, student: Student, logits_of: LogitsOf) -> list[tuple[Exit, Head]]:
    """The exit of a student with its untrained head; none where a branch cannot be made."""
    start = _start(backbone, student)
    if student.depth == 0.0:
        return [(Exit(INPUT, STUDENT), pruned_head(backbone, spared(backbone, student.share), logits_of))]
    if start is None or backbone.graph is None:
        return []
    try:
        left_out = spared(backbone, student.share, start)
    except InputError:
        return []
    return [(Exit(start, STUDENT), pruned_head(backbone, left_out, logits_of, start))] if left_out else []


def _start(backbone: Backbone, student: Student) -> str | None:
    """The exit point where a student starts; None where no point but the input will do."""
    if student.depth == 0.0:
        return INPUT
    fit = [point for point in backbone.points if not point.side_values]
    return min(fit, key=lambda point: abs(point.depth - student.depth)).name if fit else None


def _course(backbone: Backbone, student: Student, exit_: Exit, macs: float) -> Course:
    """The course of a student, shortened where it would cost more than `TEACH_MACS`."""
    each = 3 * macs + backbone.point(exit_.point).depth * backbone.macs
    return replace(student.course, seen=min(student.course.seen, max(1, int(TEACH_MACS / each))))


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
    """One backbone pass over every part but the training one, for all heads but students."""
    passes, here = _pass(multi_exit, task, options), [part for part in PARTS[1:] if part in parts]
    return {part: passes.run(subset(source, parts[part]), work / part, split=part, progress=progress) for part in here}


def record_students(
    multi_exit: MultiExit,
    task: Task,
    source: Source,
    parts: Parts,
    options: Options,
    work: Path,
    caches: Mapping[str, FeatureCache],
    progress: Progress = silent,
) -> dict[str, FeatureCache]:
    """The caches with what the students say, where there are any, which takes another pass."""
    found = dict(caches)
    said = [pair for pair in multi_exit.wanted() if isinstance(pair[1], Answers)]
    if not said:
        return found
    model = multi_exit.backbone.model
    passes = Pass(model, task.logits_of, said, model_fingerprint(model), options.batch_size, stage="students")
    for part, cache in caches.items():
        folder = work / f"{part}-students"
        more = passes.run(subset(source, parts[part]), folder, split=part, progress=progress)
        found[part] = replace(cache, features={**cache.features, **more.features})
    return found


def _pass(multi_exit: MultiExit, task: Task, options: Options) -> Pass:
    model = multi_exit.backbone.model
    wanted = [pair for pair in multi_exit.wanted() if not isinstance(pair[1], Answers)]
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
    """Trains all heads but students in place on the training part; returns the gate where one learns with them."""
    regime = train.NAMES[chosen.regime]
    inner = [i for i in range(len(multi_exit.exits)) if not isinstance(multi_exit.head(i).reduction, Answers)]
    heads, all_keys = [multi_exit.head(index) for index in inner], multi_exit.keys()
    keys = [all_keys[index] for index in inner]
    rows = Rows(tuple(lesson.cache for lesson in lessons), device_of(multi_exit.backbone.model))
    known = labels[parts["train"]] if labels is not None and regime.needs_labels else None
    if isinstance(regime, Bilevel):
        costs = multi_exit.macs(Jei()).leaving(np.ones(len(inner), bool))
        return BilevelFit(heads, keys, (costs / costs[-1]).tolist(), regime, options.seed).run(rows, known, progress)
    if heads:
        checkpoint = work / f"heads-{_training(multi_exit, lessons, chosen, labels, options)}.checkpoint"
        Fit(heads, keys, regime, chosen.schedule, options.seed, checkpoint).run(rows, known, progress)
    return None


def teach_students(
    multi_exit: MultiExit,
    lessons: Sequence[Lesson],
    chosen: Recipe,
    options: Options,
    work: Path,
    progress: Progress = silent,
) -> None:
    """Teaches the students in place, where the recipe has any, to answer as the backbone does."""
    backbone, held = multi_exit.backbone, held_samples(len(lessons[0].views.source), chosen.schedule.held, options.seed)
    for index, exit_ in enumerate(multi_exit.exits):
        answers = multi_exit.head(index).reduction
        if not isinstance(answers, Answers) or not isinstance(answers.network, Pruned):
            continue
        network = answers.network
        student = next(one for one in chosen.students if _start(backbone, one) == exit_.point)
        course = _course(backbone, student, exit_, answers.macs)
        told = repr((exit_.point, network.left_out, course, len(lessons)))
        name = hashlib.sha256(
            told.encode() + _training(multi_exit, lessons, chosen, None, options).encode()
        ).hexdigest()
        taught = network if exit_.point == INPUT else Behind(backbone, network)
        checkpoint = work / f"student-{name[:16]}.checkpoint"
        Teaching(taught, lessons, course, held, options.seed, checkpoint).run(progress)


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
