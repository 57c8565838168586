"""Students of a backbone as exits: where they start, what they are made of, and how long they are taught."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from offramp.errors import InputError
from offramp.heads.head import Head
from offramp.heads.network import Answers
from offramp.inputs import device_of
from offramp.model.augment import Augment
from offramp.model.backbone import Backbone
from offramp.model.behind import Behind
from offramp.model.cache import Pass
from offramp.model.capture import LogitsOf
from offramp.model.fingerprint import model_fingerprint
from offramp.model.multi_exit import MultiExit
from offramp.model.precision import bears_bfloat16, computes_bfloat16
from offramp.model.pruned import Pruned, pruned_head, spared
from offramp.model.quantiser import rounds
from offramp.options import Options
from offramp.progress import Progress, silent
from offramp.recipe import Student
from offramp.tasks.task import Task
from offramp.train.course import Course, course_for
from offramp.train.fit import held_samples
from offramp.train.student import Lesson, Teaching
from offramp.types import INPUT, Exit

STUDENT = "student"
"""How heads that are copies of the backbone are called."""

LEAST_SEEN = 200_000
"""A branch that could not see so many rows within its budget is not worth its time, and left out."""


def student_exit(backbone: Backbone, student: Student, logits_of: LogitsOf) -> list[tuple[Exit, Head]]:
    """The exit of a student with its untrained head; none where a branch cannot be made.

    Raises:
        InputError: if a student at the input cannot be so small, or the model is rounded to eight bits.
        CaptureError: if there shall be one at the input, and the model can only be left by hooks.
    """
    rounded = rounds(backbone.model.state_dict())
    if student.depth == 0.0:
        if rounded:
            raise InputError(
                "expected a model with gradients to make a student of, got one rounded to eight bits; choose a recipe "
                "without one, such as heads-only"
            )
        left_out = spared(backbone, student.share, INPUT, student.blocks, student.most)
        return [(Exit(INPUT, STUDENT), pruned_head(backbone, left_out, logits_of))]
    start = _start(backbone, student)
    if start is None or backbone.graph is None or rounded:
        return []
    try:
        left_out = spared(backbone, student.share, start)
    except InputError:
        return []
    if not left_out:
        return []
    head = pruned_head(backbone, left_out, logits_of, start)
    course = _course(student, head)
    if _affordable(backbone, course, start, head) < min(LEAST_SEEN, course.seen):
        return []
    return [(Exit(start, STUDENT), head)]


def teach_students(
    multi_exit: MultiExit,
    task: Task,
    lessons: Sequence[Lesson],
    options: Options,
    work: Path,
    progress: Progress = silent,
) -> None:
    """Teaches the students in place, where the recipe has any, to answer as the backbone does.

    Where inputs can be augmented, they see more views of them than heads do, since these need no features kept.
    """
    backbone, chosen = multi_exit.backbone, options.chosen()
    for index, exit_ in enumerate(multi_exit.exits):
        head = multi_exit.head(index)
        answers = head.reduction
        if not isinstance(answers, Answers) or not isinstance(answers.network, Pruned):
            continue
        student = next(one for one in chosen.students if _start(backbone, one) == exit_.point)
        course = _course(student, head)
        course = replace(course, seen=min(course.seen, _affordable(backbone, course, exit_.point, head)))
        course = replace(course, half=course.half and _half(backbone, task, lessons[0]))
        more = _more(backbone, task, lessons, course, work, progress) if chosen.augment.copies else list(lessons)
        rows = sum(len(lesson.views) for lesson in more)
        course = replace(course, seen=max(1, min(course.seen, course.passes * rows)))
        taught = answers.network if exit_.point == INPUT else Behind(backbone, answers.network)
        held = held_samples(len(lessons[0].views.source), chosen.schedule.held, options.seed)
        name = _name(answers.network, course, more, held, options.seed)
        work.mkdir(parents=True, exist_ok=True)
        Teaching(taught, more, course, held, options.seed, work / f"student-{name}.checkpoint").run(progress)


def _half(backbone: Backbone, task: Task, lesson: Lesson) -> bool:
    """Whether to compute in bfloat16, which has to be fast, and enough for the backbone."""
    first = next((lesson.views.at(start) for start in lesson.views.starts), None)
    if first is None or not computes_bfloat16(device_of(backbone.model)):
        return False
    return bears_bfloat16(backbone.model, first, task.logits_of)


def _more(
    backbone: Backbone, task: Task, lessons: Sequence[Lesson], course: Course, work: Path, progress: Progress
) -> list[Lesson]:
    """The lessons, and where inputs can be augmented enough further views that none is seen more often than needed."""
    wanted = course.seen / course.repeats - sum(len(lesson.views) for lesson in lessons)
    if wanted <= 0 or not lessons[0].views.augment.fits(backbone.example):
        return list(lessons)
    copies = math.ceil(wanted / sum(len(lesson.views.source) for lesson in lessons))
    identity = model_fingerprint(backbone.model)
    found = []
    for number, lesson in enumerate(lessons):
        seen = lesson.views.augment.copies
        views = replace(lesson.views, augment=replace(lesson.views.augment, copies=seen + copies), skip=seen + 1)
        passes = Pass(backbone.model, task.logits_of, (), identity, views.batch, half=course.half)
        told = (identity, views.source.fingerprint(), views.augment, views.skip, views.seed, views.lend.tobytes())
        folder = work / f"views-{hashlib.sha256(repr(told).encode()).hexdigest()[:16]}"
        made = passes.over(views, folder, split=f"more views {number + 1}/{len(lessons)}", progress=progress)
        found.append(Lesson(views, made))
    return [*lessons, *found]


def _start(backbone: Backbone, student: Student) -> str | None:
    """The exit point where a student starts; None where no point but the input will do."""
    if student.depth == 0.0:
        return INPUT
    fit = [point for point in backbone.points if not point.side_values]
    return min(fit, key=lambda point: abs(point.depth - student.depth)).name if fit else None


def _course(student: Student, head: Head) -> Course:
    assert isinstance(head.reduction, Answers)
    assert isinstance(head.reduction.network, Pruned)
    return student.course or course_for(head.reduction.network)


def _affordable(backbone: Backbone, course: Course, start: str, head: Head) -> int:
    """How many rows a student can see for what its course may cost.

    That is the student forward and backward, the backbone ahead of it, and the whole backbone for views of images, each
    of which is used several times.
    """
    assert isinstance(head.reduction, Answers)
    views = backbone.macs / course.repeats if Augment.fits(backbone.example) else 0.0
    each = 3 * head.reduction.macs + backbone.point(start).depth * backbone.macs + views
    return int(course.most_macs / max(each, 1.0))


def _name(network: Pruned, course: Course, lessons: Sequence[Lesson], held: np.ndarray, seed: int) -> str:
    """Names all that decides how a student comes out, so that only the same course goes on from a checkpoint."""
    sizes = [lesson.views.batch for lesson in lessons]  # views are shuffled by the batch
    told = (network.start, network.left_out, course, sizes, held.tolist(), seed)
    digest = hashlib.sha256(repr(told).encode())
    for lesson in lessons:
        digest.update(np.ascontiguousarray(lesson.cache.logits).tobytes())
    return digest.hexdigest()[:16]
