"""Which task a model is for, where nobody says it."""

from typing import Any

from torch import nn

from offramp import tasks
from offramp.inputs import Inputs, call
from offramp.load.preprocess import Preprocess
from offramp.model.modes import frozen
from offramp.options import Options
from offramp.reading import reader
from offramp.tasks.task import Task


def meant(options: Options, model: nn.Module, example: Inputs, preprocess: Preprocess | None) -> Task:
    """The task asked for; else the one that the preprocessing is of, as of texts; else classification.

    Raises:
        CaptureError: if the model's output on the example is none of that task's; says what it might be.
    """
    task = tasks.task(options.task or _of(preprocess))
    with frozen(model):
        reader(task)(call(model, example))
    return task


def _of(preprocess: Any) -> str:
    """Preprocessing that only one kind of model has says its task."""
    named: str = getattr(preprocess, "task", "classification")
    return named
