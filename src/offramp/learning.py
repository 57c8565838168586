"""Heads on a backbone: attached, given features to look at, and trained."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from offramp.errors import DataError, InputError
from offramp.gates.jei import Jei
from offramp.heads import head_type
from offramp.heads.head import Head
from offramp.heads.network import Answers
from offramp.inputs import device_of, tokens_of
from offramp.load.combine import subset
from offramp.model.augment import Augment
from offramp.model.backbone import Backbone
from offramp.model.cache import FeatureCache, Pass
from offramp.model.fingerprint import model_fingerprint
from offramp.model.multi_exit import MultiExit
from offramp.model.views import Views
from offramp.options import Options
from offramp.progress import Progress, silent
from offramp.reading import LogitsOf, reader
from offramp.recipe import Recipe
from offramp.sources import Labels, Source
from offramp.split import PARTS, Parts
from offramp.students import student_exit
from offramp.tasks.task import Task
from offramp.train.bilevel import Bilevel, BilevelFit
from offramp.train.fit import Fit, held_samples
from offramp.train.once import Taught, once
from offramp.train.rows import Rows
from offramp.train.spent import Spent
from offramp.train.student import Lesson
from offramp.types import INPUT, Exit, ExitPoint

AUGMENT_MACS = 1.2e13
"""Backbone MACs that augmented copies may cost at most: about three minutes on two cores."""


def check_small(chosen: Recipe, small: bool, task: Task | None = None) -> None:
    """Refuses a recipe that has no exit without a small model, and one that cannot have one in front.

    The task is asked, once it is known, since a small model only answers and does not say how sure it is of a value.

    Raises:
        InputError: before anything is loaded.
    """
    if chosen.needs_small and not small:
        raise InputError(
            "expected a small model for this recipe, which has no exits of its own; pass small= (--small SPEC), or "
            "choose another recipe"
        )
    if small and task is not None and not task.means.classes:
        raise InputError(
            f"expected no small model with the task {task.name}, whose gate asks for more than an answer; leave it out"
        )
    at_input = any(student.depth == 0.0 for student in chosen.students)
    if small and (at_input or chosen.learns_gates or chosen.trunk is not None or chosen.hears):
        raise InputError(
            "expected no small model with this recipe, which has a student at the input, heads that hear each other, "
            "or gates or a backbone that learn with the heads; leave it out, or choose another recipe such as cascade"
        )


def check_labels(labels: Labels | None, chosen: Recipe, extra: Sequence[Source]) -> None:
    """Refuses a recipe that cannot do with the labels there are.

    Raises:
        DataError: before any pass of the backbone.
    """
    needed = chosen.needs_labels
    if needed and labels is None:
        raise DataError(f"expected labels for the regime {chosen.regime!r}; pass labels=True (--labels), or use distil")
    if chosen.trunk is not None and extra:
        raise DataError("expected no extra data with a recipe that trains the backbone; leave it out")
    if chosen.labels and labels is None:
        raise DataError("expected labels for this recipe, which searches with them; pass labels=True (--labels)")
    if needed and extra:
        raise DataError(f"expected no extra data with the regime {chosen.regime!r}, which needs labels; use distil")


def attach(
    backbone: Backbone,
    points: Sequence[ExitPoint],
    options: Options,
    logits_of: LogitsOf,
    heads_at: Mapping[str, Sequence[str]] | None = None,
    small: Head | None = None,
) -> MultiExit:
    """The backbone with untrained heads at the given points, behind the recipe's student or the small model.

    The heads are those of `heads_at` by the point's name, none where it has no such name; without it the recipe's.
    """
    chosen, generator = options.chosen(), torch.Generator().manual_seed(options.seed)
    by_point = {point.name: chosen.heads for point in points} if heads_at is None else heads_at
    tokens = tokens_of(backbone.example)
    places = [(point, name) for point in points for name in by_point.get(point.name, ())]
    found = [
        (Exit(at.name, name), head_type(name).build(at.feature_shape, backbone.classes, generator, tokens, number))
        for number, (at, name) in enumerate(places)
    ]
    if small is not None:
        found.append((Exit(INPUT, "small"), small))
    for student in chosen.students:
        found += student_exit(backbone, student, logits_of, chosen.augment)
    found.sort(key=lambda one: backbone.point(one[0].point).index)
    heads = nn.ModuleList(head for _, head in found).to(device_of(backbone.model))
    return MultiExit(backbone, tuple(exit_ for exit_, _ in found), heads)


def train_backbone(
    multi_exit: MultiExit,
    task: Task,
    source: Source,
    labels: Labels | None,
    parts: Parts,
    options: Options,
    work: Path,
    progress: Progress = silent,
) -> tuple[MultiExit, tuple[Spent, ...]]:
    """A copy of the backbone, trained with its heads on the training part, and what each phase has cost.

    The model as it was, and nothing spent, where the recipe trains no backbone.
    """
    chosen = options.chosen()
    if chosen.trunk is None:
        return multi_exit, ()
    lesson, known = subset(source, parts["train"]), None if labels is None else labels[parts["train"]]
    training = chosen.trunk.trunk(chosen.regime, multi_exit, reader(task), options.seed, None)
    work.mkdir(parents=True, exist_ok=True)
    checkpoint = work / f"backbone-{training.identity(lesson, known)[:16]}.checkpoint"
    trained = replace(training, checkpoint=checkpoint).run(lesson, known, progress)
    return trained.multi_exit(reader(task)), trained.spent


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
    """One backbone pass over the training part and its augmented copies; extra data counts as more of it.

    Where nothing learns there is no pass, and no lesson; nor where heads have learned with the backbone already.
    """
    chosen = options.chosen()
    if chosen.trunk is not None:
        return []
    if not chosen.students and all(exit_.point == INPUT for exit_ in multi_exit.exits):
        return []
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


def record_networks(
    multi_exit: MultiExit,
    task: Task,
    source: Source,
    parts: Parts,
    options: Options,
    work: Path,
    caches: Mapping[str, FeatureCache],
    progress: Progress = silent,
) -> dict[str, FeatureCache]:
    """The caches with what networks say, the user's and students, where there are any, which takes another pass."""
    found = dict(caches)
    said = [pair for pair in multi_exit.wanted() if isinstance(pair[1], Answers)]
    if not said:
        return found
    model = multi_exit.backbone.model
    passes = Pass(model, reader(task), said, model_fingerprint(model), options.batch_size, stage="networks")
    for part, cache in caches.items():
        folder = work / f"{part}-networks"
        more = passes.run(subset(source, parts[part]), folder, split=part, progress=progress)
        found[part] = replace(cache, features={**cache.features, **more.features})
    return found


def _pass(multi_exit: MultiExit, task: Task, options: Options) -> Pass:
    model, original = multi_exit.backbone.model, multi_exit.original
    wanted = [pair for pair in multi_exit.wanted() if not isinstance(pair[1], Answers)]
    identity = model_fingerprint(model) + ("" if original is None else f" of {model_fingerprint(original)}")
    return Pass(model, reader(task), wanted, identity, batch_size=options.batch_size, original=original)


def copies_within(augment: Augment, backbone: Backbone, samples: Sequence[int]) -> list[Augment]:
    """The augmentation of each source, with as many copies as `AUGMENT_MACS` allows; none but for images.

    The first, which holds the user's own samples, has as many as were asked for before the others have any; these have
    all the same.
    """
    left = AUGMENT_MACS / backbone.macs if augment.fits(backbone.example) else 0.0
    first = min(augment.copies, int(left / samples[0]))
    others = min(augment.copies, int((left - first * samples[0]) / max(1, sum(samples[1:]))))
    return [replace(augment, copies=first), *[replace(augment, copies=others)] * (len(samples) - 1)]


def train_heads(
    multi_exit: MultiExit,
    lessons: Sequence[Lesson],
    chosen: Recipe,
    labels: Labels | None,
    parts: Parts,
    options: Options,
    work: Path,
    progress: Progress = silent,
    *,
    onward: bool = False,
) -> Taught:
    """Trains all heads but students in place on the training part, or reads them from `work` if it did before.

    The gate that learns with the heads is returned if the recipe decides by it. Heads that have learned with the
    backbone already stay as they are. Those that were trained before go on from where they are, `onward`.
    """
    if chosen.trunk is not None:
        return Taught(None, 0.0)
    regime = chosen.training
    inner = [i for i in range(len(multi_exit.exits)) if not isinstance(multi_exit.head(i).reduction, Answers)]
    heads, all_keys = [multi_exit.head(index) for index in inner], multi_exit.keys()
    exits, keys = [multi_exit.exits[index] for index in inner], [all_keys[index] for index in inner]
    rows = Rows(tuple(lesson.cache for lesson in lessons), device_of(multi_exit.backbone.model))
    known = labels[parts["train"]] if labels is not None and regime.needs_labels else None
    name = f"heads-{_training(exits, lessons, chosen, known, options)}"
    work.mkdir(parents=True, exist_ok=True)
    checkpoint = work / f"{name}.checkpoint"

    def teach() -> Jei | None:
        if isinstance(regime, Bilevel):
            costs = multi_exit.macs(Jei()).leaving(np.ones(len(inner), bool))
            fit = BilevelFit(heads, keys, (costs / costs[-1]).tolist(), regime, options.seed)
            return fit.run(rows, known, progress)
        if heads:
            Fit(heads, keys, regime, chosen.schedule, options.seed, checkpoint, onward).run(rows, known, progress)
        return None

    taught = once(nn.ModuleList(heads), work / f"{name}.trained", teach)
    checkpoint.unlink(missing_ok=True)
    return taught if chosen.gate == "jei" else replace(taught, gate=None)


def _training(
    exits: Sequence[Exit],
    lessons: Sequence[Lesson],
    chosen: Recipe,
    labels: Labels | None,
    options: Options,
) -> str:
    """Names all that decides how heads come out, so that only the same training goes on from a checkpoint."""
    told = (exits, chosen.training, chosen.schedule, options.seed)
    digest = hashlib.sha256(repr(told).encode())
    for lesson in lessons:
        digest.update(np.ascontiguousarray(lesson.cache.logits).tobytes())
    if labels is not None:
        digest.update(labels.tobytes())
    return digest.hexdigest()[:16]
