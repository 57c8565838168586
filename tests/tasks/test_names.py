import pytest

from offramp.errors import InputError, UnknownNameError
from offramp.tasks import NAMES, task
from offramp.tasks.detection import Detection
from offramp.tasks.task import Task


def test_every_name_is_its_tasks_own() -> None:
    for name, one in NAMES.items():
        assert isinstance(one, Task)
        assert one.name.partition(":")[0] == name
        assert task(one.name) == task(name) == one


def test_settings_are_part_of_a_name() -> None:
    assert task("detection:present:3:0.65") == Detection("present", 3, 0.65)
    assert task("detection:all:0.3").name == "detection:all:0.3"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ctr:1", "expected the task ctr without settings, got 'ctr:1'"),
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


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="expected a task"):
        task("ranking")
