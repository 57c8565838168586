"""Views that students see beyond those that heads learn from: logits alone are kept of them, so they cost little."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from offramp.inputs import device_of
from offramp.model.augment import Augment
from offramp.model.backbone import Backbone
from offramp.model.cache import Pass
from offramp.model.fingerprint import model_fingerprint
from offramp.model.precision import bears_bfloat16, computes_bfloat16
from offramp.progress import Progress, silent
from offramp.reading import reader
from offramp.tasks.task import Task
from offramp.train.course import Course
from offramp.train.student import Lesson


def augmented(backbone: Backbone, augment: Augment) -> bool:
    """Whether copies are made of the inputs: where they are pictures, and any are wanted."""
    return augment.copies > 0 and augment.fits(backbone.example)


def with_further_views(
    backbone: Backbone, task: Task, lessons: Sequence[Lesson], course: Course, work: Path, progress: Progress = silent
) -> list[Lesson]:
    """The lessons, and about so many further views of all their samples that none is seen more often than needed.

    The backbone answers them in bfloat16 where the course says so, the machine is fast at it and the backbone bears it.

    Args:
        backbone: what answers.
        task: picks the logits out of its output.
        lessons: the views that heads learn from, of pictures, at least one.
        course: says how many rows are seen, and how often each.
        work: folder of the caches; an interrupted pass goes on there.
        progress: told about every batch.

    Raises:
        OSError: if the folder cannot be written or the disk is full.
    """
    wanted = course.seen / course.repeats - sum(len(lesson.views) for lesson in lessons)
    copies = round(wanted / sum(len(lesson.views.source) for lesson in lessons))
    if copies < 1:
        return list(lessons)
    half, identity = course.half and _half(backbone, task, lessons[0]), model_fingerprint(backbone.model)
    found = []
    for number, lesson in enumerate(lessons):
        seen = lesson.views.augment.copies
        views = replace(lesson.views, augment=replace(lesson.views.augment, copies=seen + copies), skip=seen + 1)
        stage = f"more views ({number + 1} of {len(lessons)})"
        passes = Pass(backbone.model, reader(task), (), identity, views.batch, stage=stage, half=half)
        source = views.source.fingerprint()
        told = (identity, source, views.augment, views.skip, views.seed, views.lend.tobytes(), views.batch, half)
        folder = work / f"views-{hashlib.sha256(repr(told).encode()).hexdigest()[:16]}"
        found.append(Lesson(views, passes.over(views, folder, split="train", progress=progress)))
    return [*lessons, *found]


def _half(backbone: Backbone, task: Task, lesson: Lesson) -> bool:
    if not computes_bfloat16(device_of(backbone.model)):
        return False
    return bears_bfloat16(backbone.model, lesson.views.at(next(lesson.views.starts)), reader(task))
