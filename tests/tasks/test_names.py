import pytest

from offramp.errors import InputError, UnknownNameError
from offramp.tasks import NAMES, task
from offramp.tasks.detection import Detection
from offramp.tasks.task import Task


@pytest.mark.parametrize(
    "name",
    [
        *sorted(set(NAMES) - {"detection"}),
        "detection:top",
        "regression:0.5",
        "regression:0.5,2",
        "regression:1e-09,250000",
    ],
)
def test_every_name_is_its_tasks_own(name: str) -> None:
    one: object = task(name)
    assert isinstance(one, Task)
    assert one.name == name


def test_settings_are_part_of_a_name() -> None:
    assert task("detection:present:3:0.65") == Detection("present", 3, 0.65)
    assert task("detection:all:0.3").name == "detection:all:0.3"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ctr:1", "expected no settings for the task ctr, got '1'"),
        ("detection:present", "expected detection:present:CLASS, detection:top or detection:all"),
        ("detection:boxes", "expected detection:present:CLASS, detection:top or detection:all"),
        ("detection:top:1:2", "expected detection:present:CLASS"),
        ("detection:present:person", "with a class as its number"),
        ("detection:top:1.5", r"expected a score in \(0, 1\) from which on a detection counts, got 1.5"),
        ("detection:top:nan", r"expected a score in \(0, 1\)"),
    ],
)
def test_other_settings_are_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        task(name)


@pytest.mark.parametrize("name", ["ranking", "ranking:0.5", ""])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(UnknownNameError, match="expected a task"):
        task(name)


@pytest.mark.parametrize("name", ["classification", "text", "ctr", "multilabel"])
@pytest.mark.parametrize("settings", ["", "0.5"])
def test_settings_of_a_task_that_has_none_are_refused(name: str, settings: str) -> None:
    with pytest.raises(InputError, match=f"expected no settings for the task {name}, got '{settings}'"):
        task(f"{name}:{settings}")
