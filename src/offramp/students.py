"""Students of a backbone as exits: where they start, what they are made of, and how long they are taught."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from offramp.errors import InputError
from offramp.heads.head import Head
from offramp.heads.network import Answers
from offramp.model.augment import Augment
from offramp.model.backbone import Backbone
from offramp.model.behind import Behind
from offramp.model.multi_exit import MultiExit
from offramp.model.pruned import Pruned, pruned_head, spared
from offramp.model.quantiser import rounds
from offramp.options import Options
from offramp.progress import Progress, silent
from offramp.reading import LogitsOf
from offramp.recipe import Student
from offramp.student_views import augmented, with_further_views
from offramp.tasks.task import Task
from offramp.train.course import Course, course_for
from offramp.train.fit import held_samples
from offramp.train.student import Lesson, Teaching
from offramp.types import INPUT, Exit

STUDENT = "student"
"""How heads that are copies of the backbone are called."""

LEAST_SEEN = 200_000
"""A branch that could not see so many rows within its budget is not worth its time, and left out."""


def student_exit(
    backbone: Backbone, student: Student, logits_of: LogitsOf, augment: Augment
) -> list[tuple[Exit, Head]]:
    """The exit of a student with its untrained head; none where a branch cannot be made or afforded.

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
    if _affordable(backbone, course, start, head, augmented(backbone, augment)) < min(LEAST_SEEN, course.seen):
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
        course, more = _course(student, head), list(lessons)
        fresh = augmented(backbone, chosen.augment)
        course = replace(course, seen=min(course.seen, _affordable(backbone, course, exit_.point, head, fresh)))
        if fresh:
            more = with_further_views(backbone, task, lessons, course, work, progress)
        rows = sum(len(lesson.views) for lesson in more)
        course = replace(course, seen=max(1, min(course.seen, course.passes * rows)))
        taught = answers.network if exit_.point == INPUT else Behind(backbone, answers.network)
        held = held_samples(len(lessons[0].views.source), chosen.schedule.held, options.seed)
        name = _name(answers.network, course, more, held, options.seed)
        work.mkdir(parents=True, exist_ok=True)
        Teaching(taught, more, course, held, options.seed, work / f"student-{name}.checkpoint").run(progress)


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


def _affordable(backbone: Backbone, course: Course, start: str, head: Head, fresh: bool) -> int:
    """How many rows a student can see for what its course may cost.

    That is the student forward and backward, the backbone ahead of it, and where views are fresh the whole backbone for
    each, which is used several times.
    """
    assert isinstance(head.reduction, Answers)
    views = backbone.macs / course.repeats if fresh else 0.0
    each = 3 * head.reduction.macs + backbone.point(start).depth * backbone.macs + views
    return int(course.most_macs / max(each, 1.0))


def _name(network: Pruned, course: Course, lessons: Sequence[Lesson], held: np.ndarray, seed: int) -> str:
    """Names all that decides how a student comes out, so that only the same course goes on from a checkpoint."""
    sizes = [lesson.views.batch for lesson in lessons]  # views are shuffled by the batch
    told = (network.start, network.left_out, course, sizes, held.tolist(), seed)
    digest = hashlib.sha256(repr(told).encode())
    for lesson in lessons:
        digest.update(np.ascontiguousarray(lesson.cache.logits).data)
    return digest.hexdigest()[:16]
