"""How a task's output is found in what a model returns: torch, where `offramp.tasks` is NumPy."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from offramp.reading.ctr import two_logits
from offramp.reading.labels import label_logits
from offramp.reading.logits import class_logits
from offramp.reading.values import values_of
from offramp.tasks.ctr import Ctr
from offramp.tasks.multilabel import Multilabel
from offramp.tasks.regression import Regression
from offramp.tasks.task import Task

LogitsOf = Callable[[Any], torch.Tensor]
"""Finds the output `(batch, outputs)` that exits imitate in whatever a model returns."""


def reader(task: Task) -> LogitsOf:
    """What finds this task's output in what a model returns."""
    if isinstance(task, Ctr):
        return two_logits
    if isinstance(task, Multilabel):
        return label_logits
    if isinstance(task, Regression):
        return partial(values_of, tolerances=None if task.tolerance is None else len(task.tolerance))
    return class_logits
