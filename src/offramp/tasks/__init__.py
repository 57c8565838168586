"""Tasks by the name under which the command line and the manifest know them. NumPy only."""

from collections.abc import Callable

from offramp.errors import InputError, UnknownNameError
from offramp.tasks.classification import Classification
from offramp.tasks.ctr import Ctr
from offramp.tasks.detection import Detection
from offramp.tasks.multilabel import Multilabel
from offramp.tasks.regression import Regression
from offramp.tasks.task import Task


def _plain(made: Task) -> Callable[[str | None], Task]:
    """Makes a task that has no settings."""

    def make(settings: str | None) -> Task:
        if settings is not None:
            raise InputError(f"expected no settings for the task {made.name}, got {settings!r}; leave them out")
        return made

    return make


NAMES: dict[str, Callable[[str | None], Task]] = {
    "classification": _plain(Classification()),
    "text": _plain(Classification("text")),
    "ctr": _plain(Ctr()),
    "multilabel": _plain(Multilabel()),
    "regression": Regression.of,
    "detection": Detection.of,
}
"""What makes a task of the settings behind the colon of its name, None where there is no colon; by the first word."""


def task(name: str) -> Task:
    """The task that a name means, with its settings.

    Raises:
        UnknownNameError: listing the known ones.
        InputError: if its settings cannot be read.

    >>> task("ctr").name, task("regression:0.5,2").means.tolerance
    ('ctr', (0.5, 2.0))
    """
    word, colon, settings = name.partition(":")
    if word not in NAMES:
        raise UnknownNameError.among("task", name, NAMES)
    return NAMES[word](settings if colon else None)
