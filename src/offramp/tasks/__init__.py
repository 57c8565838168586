"""Tasks by the name under which the command line and the manifest know them."""

from offramp.tasks.classification import Classification
from offramp.tasks.task import Task

NAMES: dict[str, Task] = {"classification": Classification()}
