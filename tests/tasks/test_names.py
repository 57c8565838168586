import pytest

from offramp.errors import InputError, UnknownNameError
from offramp.tasks import NAMES, task
from offramp.tasks.task import Task


@pytest.mark.parametrize("name", [*NAMES, "regression:0.5", "regression:0.5,2", "regression:1e-09,250000"])
def test_every_name_is_its_tasks_own(name: str) -> None:
    one: object = task(name)
    assert isinstance(one, Task)
    assert one.name == name


@pytest.mark.parametrize("name", ["ranking", "ranking:0.5", ""])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(UnknownNameError, match="expected a task"):
        task(name)


@pytest.mark.parametrize("name", ["classification", "text", "ctr", "multilabel"])
@pytest.mark.parametrize("settings", ["", "0.5"])
def test_settings_of_a_task_that_has_none_are_refused(name: str, settings: str) -> None:
    with pytest.raises(InputError, match=f"expected no settings for the task {name}, got '{settings}'"):
        task(f"{name}:{settings}")
