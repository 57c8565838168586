from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from offramp.bundle import Bundle
from offramp.model.augment import Augment
from offramp.model.modes import frozen
from offramp.reading import reader
from offramp.recipe import Recipe, Student
from offramp.train.course import Course
from tests.builds import RECIPE, images, make
from tests.toys import CNN, untouched

COURSE = Course(seen=1500, batch_size=32, learning_rate=0.05)
STUDENT = replace(RECIPE, students=(Student(0.9, course=COURSE),), points=2)
BRANCH = replace(RECIPE, students=(Student(0.6, 0.2, COURSE),), points=2)


@pytest.mark.parametrize("recipe", [STUDENT, BRANCH], ids=["student", "branch"])
def test_a_student_is_built_kept_and_attached_again(tmp_path: Path, recipe: Recipe) -> None:
    model = CNN.model()
    with untouched(model):
        made = make(tmp_path / "bundle", model=model, recipe=recipe)
    taught = [index for index, exit_ in enumerate(made.manifest.exits) if exit_.network is not None]
    assert len(taught) == 1
    assert (made.manifest.exits[taught[0]].point == "input") == (recipe is STUDENT)
    assert 0.0 < made.cost.head[taught[0]] <= 0.9 * made.cost.backbone
    loaded = Bundle.load(tmp_path / "bundle").attach(CNN.model())
    assert loaded.multi_exit is not None
    assert made.multi_exit is not None
    inputs = images(20, 3)
    with torch.no_grad(), frozen(model), frozen(loaded.multi_exit.backbone.model):
        logits_of = reader(made.task)
        expected = made.multi_exit.outputs(inputs, logits_of)
        torch.testing.assert_close(loaded.multi_exit.outputs(inputs, logits_of), expected, rtol=1e-5, atol=1e-5)
    cheapest = made.points[-1].name
    np.testing.assert_array_equal(
        loaded.use(cheapest)(inputs).exit_index.numpy(), made.use(cheapest)(inputs).exit_index.numpy()
    )


class Added(torch.nn.Module):
    """Adds what a layer says to a tensor that the trace takes for float32, whatever the layer says it in."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.inner(x)
        sums = torch.zeros(found.shape, dtype=found.dtype, device=found.device)
        return sums.index_add_(1, torch.arange(found.shape[1]), found)


def test_a_student_that_half_precision_breaks_is_taught_without(tmp_path: Path) -> None:
    model = CNN.model()
    model.set_submodule("layer2.1", Added(model.get_submodule("layer2.1")))
    made = make(tmp_path, model=model, recipe=STUDENT)
    assert any(exit_.network is not None for exit_ in made.manifest.exits)


@pytest.mark.parametrize(("seen", "copies", "expected"), [(1500, 1, 320), (2500, 1, 640), (800, 1, 0), (2500, 0, 0)])
def test_students_see_as_many_views_as_their_course_takes(
    tmp_path: Path, seen: int, copies: int, expected: int
) -> None:
    """Half of 320 samples train, and each view is seen 2.5 times; where none are augmented, as often as it takes."""
    told: dict[str, int] = {}
    students = (Student(0.9, course=replace(COURSE, seen=seen)),)
    recipe = replace(STUDENT, students=students, augment=Augment(copies=copies))
    make(tmp_path, recipe=recipe, progress=lambda what, _done, of: told.update({what: of}))
    assert told["backbone over train"] == 160 * (1 + copies)
    assert told.get("more views (1 of 1) over train", 0) == expected


@pytest.mark.parametrize("when", ["teaching the student", "more views (2 of 2) over train"])
def test_a_build_with_a_student_goes_on_where_it_was_killed(tmp_path: Path, when: str) -> None:
    def killed(what: str, done: int, of: int) -> None:
        if what == when and done == of:
            raise KeyboardInterrupt

    extra = [images(40, 7)]
    whole = make(tmp_path / "whole", recipe=STUDENT, extra_data=extra)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "cut", recipe=STUDENT, extra_data=extra, progress=killed)
    cut = make(tmp_path / "cut", recipe=STUDENT, extra_data=extra)
    torch.testing.assert_close(dict(cut.heads), dict(whole.heads), rtol=0, atol=0)
