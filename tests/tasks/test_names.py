import pytest

from offramp.errors import UnknownNameError
from offramp.tasks import NAMES, task
from offramp.tasks.task import Task


def test_every_name_is_its_tasks_own() -> None:
    assert all(isinstance(one, Task) and one.name == name for name, one in NAMES.items())


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="expected a task"):
        task("ranking")
