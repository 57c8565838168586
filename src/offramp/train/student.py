"""A whole small network taught to answer like the backbone, without labels.

The views and what the backbone says about them are made once (`model.cache`); the student sees them several times, in
another order each time. Beyer et al. (2022) call for patience and aggressive mixup in distillation; here a view is
blended as often as the cache was asked for.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import nn

from offramp.errors import DataError, InputError
from offramp.inputs import Inputs, call, concat, device_of, leaves, mask_of, on, select
from offramp.model.cache import FeatureCache
from offramp.model.memory_layout import fastest_layout, laid_out
from offramp.model.precision import computes_bfloat16, runs_in_bfloat16
from offramp.model.views import Views
from offramp.progress import Progress, silent
from offramp.train.alike import alike
from offramp.train.course import Course
from offramp.train.state_file import read, write

SHUFFLED = 2**28
"""Bytes of views that are shuffled at a time; they are made batch by batch, in random order."""

SAVE_EVERY = 200
"""Steps between two notes of progress; as many are lost at most when the process is killed."""


_Batch = tuple[Inputs, torch.Tensor]
_Group = tuple[int, Iterator[_Batch]]


@dataclass(frozen=True, eq=False)
class Lesson:
    """Views of a source, and what the backbone says about each row.

    Attributes:
        views: the rows.
        cache: has the backbone's logits, in the order of the rows.
    """

    views: Views
    cache: FeatureCache

    def __post_init__(self) -> None:
        if len(self.views) != len(self.cache.logits):
            raise DataError(
                f"expected logits for {len(self.views)} views, got {len(self.cache.logits)}; make the cache anew"
            )


@dataclass(frozen=True, eq=False)
class Teaching:
    """A student and what it is taught from.

    Attributes:
        student: trained in place, and left in eval mode; takes the backbone's inputs and returns logits.
        lessons: what it sees.
        course: how long and how fast.
        held: samples of the first lesson's source that it never sees.
        seed: of the order of the rows.
        checkpoint: file from which an interrupted course goes on; None: not resumable.
    """

    student: nn.Module
    lessons: Sequence[Lesson]
    course: Course = field(default_factory=Course)
    held: Int[np.ndarray, " held"] | None = None
    seed: int = 0
    checkpoint: Path | None = None

    def run(self, progress: Progress = silent) -> None:
        """Teaches the student.

        Args:
            progress: told about every step.

        Raises:
            DataError: if there are no rows to learn from.
            InputError: if the loss is no number any more.
        """
        course, optimizer = self.course, _optimizer(self.student, self.course)
        steps = max(1, round(course.seen / course.batch_size))
        done = 0 if self.checkpoint is None else self._resumed(optimizer)
        if done >= steps:
            self.student.eval()
            return
        first = next((lesson.views.at(start) for lesson in self.lessons for start in lesson.views.starts), None)
        layout, half = fastest_layout(self.student.eval(), first), self._half(first)
        self.student.to(memory_format=layout).train()  # type: ignore[call-overload]
        for step, (inputs, target) in self._batches(done):
            if step >= steps:
                break
            optimizer.param_groups[0]["lr"] = optimizer.param_groups[1]["lr"] = course.rate(step, steps)
            optimizer.zero_grad(set_to_none=True)
            loss = self._loss(laid_out(inputs, layout), target, half)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if not math.isfinite(loss.item()):
                raise InputError(f"the student diverged at step {step}; lower the rate {course.learning_rate}")
            progress("teaching the student", step + 1, steps)
            if self.checkpoint is not None and (step + 1) % SAVE_EVERY == 0:
                self._save(optimizer, step + 1)
        if self.checkpoint is not None:
            self._save(optimizer, steps)
        self.student.to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]

    def _half(self, first: Inputs | None) -> bool:
        """Whether to compute in bfloat16."""
        if first is None or not self.course.half or not computes_bfloat16(device_of(self.student)):
            return False
        return runs_in_bfloat16(self.student, first, lambda logits: logits)

    def _loss(self, inputs: Inputs, target: torch.Tensor, half: bool) -> torch.Tensor:
        device = device_of(self.student)
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            logits: torch.Tensor = call(self.student, on(inputs, device))
        return self.course.regime.loss(logits.float(), target.to(device), None)

    def _batches(self, done: int) -> Iterator[tuple[int, _Batch]]:
        """Numbered batches from step `done` on, epoch after epoch; the order depends on the seed alone."""
        places = [(index, start) for index, lesson in enumerate(self.lessons) for start in lesson.views.starts]
        if not any(len(self._rows([place])) for place in places):
            raise DataError("expected rows to teach a student from, got none; give more samples")
        first, step = self.lessons[0].views, 0
        lengths = None if mask_of(first.at(next(first.starts))) is None else [_lengths(one) for one in self.lessons]
        for epoch in itertools.count():
            generator = np.random.default_rng((self.seed, epoch))
            groups = self._blended(places, generator) if lengths is None else self._texts(places, lengths, generator)
            for count, batches in groups:
                if step + count <= done:
                    step += count
                    continue
                for batch in batches:
                    if step >= done:
                        yield step, batch
                    step += 1

    def _blended(self, places: list[tuple[int, int]], generator: np.random.Generator) -> Iterator[_Group]:
        """Rows of all lessons in random order, as many at a time as `SHUFFLED` allows; how many batches, and these."""
        order = [places[i] for i in generator.permutation(len(places))]
        for some in _groups(order, max(1, SHUFFLED // self._bytes())):
            rows = self._rows(some)
            shuffled, count = generator.permutation(len(rows)), -(-len(rows) // self.course.batch_size)
            if count:
                yield count, self._shuffled(some, np.array_split(shuffled, count))

    def _shuffled(self, some: Sequence[tuple[int, int]], parts: Sequence[np.ndarray]) -> Iterator[_Batch]:
        inputs, target = self._made(some)
        for chosen in map(torch.from_numpy, parts):
            yield select(inputs, chosen), target[chosen]

    def _texts(
        self, places: list[tuple[int, int]], lengths: Sequence[np.ndarray], generator: np.random.Generator
    ) -> Iterator[_Group]:
        """Texts anew from their lesson, since each batch of them is padded to a length of its own."""
        found = self._rows(places)
        rows = [np.array([row for i, row in found if i == index], np.int64) for index in range(len(self.lessons))]
        parts = alike(lengths, rows, self.course.batch_size, generator)
        yield len(parts), ((self.lessons[i].views.source.inputs(part), self._target(i, part)) for i, part in parts)

    def _bytes(self) -> int:
        """What a batch of views takes in memory."""
        first = self.lessons[0].views
        return sum(tensor.nbytes for tensor in leaves(first.at(next(first.starts))))

    def _rows(self, some: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Lesson and row of each view of some batches, those that are held left out."""
        held = set() if self.held is None else set(self.held.tolist())
        found = []
        for index, start in some:
            views = self.lessons[index].views
            count = min(views.batch, len(views.source) - start % len(views.source))
            rows, first = range(start, start + count), views.source is self.lessons[0].views.source
            found += [(index, row) for row in rows if not first or row % len(views.source) not in held]
        return found

    def _made(self, some: Sequence[tuple[int, int]]) -> tuple[Inputs, torch.Tensor]:
        parts, targets = [], []
        for index, start in some:
            lesson = self.lessons[index]
            rows = np.array([row for _, row in self._rows([(index, start)])], np.int64)
            if len(rows):
                parts.append(select(lesson.views.at(start), torch.from_numpy(rows - start)))
                targets.append(self._target(index, rows))
        return concat(parts), torch.cat(targets)

    def _target(self, index: int, rows: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.asarray(self.lessons[index].cache.logits[rows], np.float32))

    def _save(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        assert self.checkpoint is not None
        state = {"step": step, "student": self.student.state_dict(), "optimizer": optimizer.state_dict()}
        write(state, self.checkpoint)

    def _resumed(self, optimizer: torch.optim.Optimizer) -> int:
        step = 0

        def take(state: dict[str, object]) -> None:
            nonlocal step
            self.student.load_state_dict(state["student"])  # type: ignore[arg-type]
            optimizer.load_state_dict(state["optimizer"])  # type: ignore[arg-type]
            step = int(state["step"])  # type: ignore[call-overload]

        if self.checkpoint is not None and self.checkpoint.exists():
            read(self.checkpoint, take)
        return step


def _groups(order: Sequence[tuple[int, int]], count: int) -> Iterator[Sequence[tuple[int, int]]]:
    return (order[first : first + count] for first in range(0, len(order), count))


def _lengths(lesson: Lesson) -> np.ndarray:
    """How many tokens each row has."""
    masks = (mask_of(lesson.views.at(start)) for start in lesson.views.starts)
    return np.concatenate([mask.sum(1).numpy() for mask in masks if mask is not None])


def _optimizer(student: nn.Module, course: Course) -> torch.optim.Optimizer:
    """Decay on matrices and filters; none on biases and norms."""
    parameters = [parameter for parameter in student.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": course.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if course.optimizer == "AdamW":
        return torch.optim.AdamW(groups, lr=course.learning_rate)
    return torch.optim.SGD(groups, lr=course.learning_rate, momentum=0.9, nesterov=True)
