"""How a task's output is found in what a model returns: torch, where `offramp.tasks` is NumPy."""

from functools import partial

from offramp.reading.ctr import two_logits
from offramp.reading.detection import Presence, batched
from offramp.reading.full import entries
from offramp.reading.labels import label_logits
from offramp.reading.logits import class_logits
from offramp.reading.reader import LogitsOf, Reader, full_of
from offramp.reading.values import values_of
from offramp.tasks.ctr import Ctr
from offramp.tasks.detection import Detection
from offramp.tasks.multilabel import Multilabel
from offramp.tasks.regression import Regression
from offramp.tasks.task import Task

__all__ = ["LogitsOf", "Reader", "full_of", "reader"]


def reader(task: Task) -> Reader:
    """What finds this task's output, and all else, in what a model returns."""
    if isinstance(task, Ctr):
        return Reader(two_logits, entries)
    if isinstance(task, Detection):
        return Reader(Presence(task), batched)
    if isinstance(task, Multilabel):
        return Reader(label_logits, entries)
    if isinstance(task, Regression):
        tolerances = None if task.tolerance is None else len(task.tolerance)
        return Reader(partial(values_of, tolerances=tolerances), entries)
    return Reader(class_logits, entries)
