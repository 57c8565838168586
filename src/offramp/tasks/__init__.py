"""Tasks by the name under which the command line and the manifest know them. NumPy only."""

from offramp.errors import UnknownNameError
from offramp.tasks.classification import Classification
from offramp.tasks.ctr import Ctr
from offramp.tasks.task import Task

NAMES: dict[str, Task] = {
    "classification": Classification(),
    "text": Classification("text"),
    "ctr": Ctr(),
}
"""By the first word of their names; what is behind a colon are settings."""


def task(name: str) -> Task:
    """The task that a name means, with its settings.

    Raises:
        UnknownNameError: listing the known ones.

    >>> task("ctr").name
    'ctr'
    """
    if name not in NAMES:
        raise UnknownNameError.among("task", name, NAMES)
    return NAMES[name]
