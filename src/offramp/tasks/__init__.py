"""Tasks by the name under which the command line and the manifest know them. NumPy only."""

from collections.abc import Callable

from offramp.errors import InputError, UnknownNameError
from offramp.tasks.classification import Classification
from offramp.tasks.ctr import Ctr
from offramp.tasks.detection import Detection
from offramp.tasks.task import Task

NAMES: dict[str, Task] = {
    "classification": Classification(),
    "text": Classification("text"),
    "ctr": Ctr(),
    "detection": Detection(),
}
"""By the first word of their names, as they are where nothing more is said."""

SETTINGS: dict[str, Callable[[str], Task]] = {"detection": Detection.parse}
"""What reads the settings behind a colon, of tasks that have any."""


def task(name: str) -> Task:
    """The task that a name means, with its settings.

    Raises:
        UnknownNameError: listing the known ones.
        InputError: if it has no such settings.

    >>> task("ctr").name, task("detection:present:0:0.65").name
    ('ctr', 'detection:present:0:0.65')
    """
    kind, colon, settings = name.partition(":")
    if kind not in NAMES:
        raise UnknownNameError.among("task", kind, NAMES)
    if not colon:
        return NAMES[kind]
    if kind not in SETTINGS:
        raise InputError(f"expected the task {kind} without settings, got {name!r}")
    return SETTINGS[kind](settings)
